//! The `camlens` program: see the library's documentation.

use std::process::ExitCode;

use camlens::cli;
use camlens::text::printable;

fn main() -> ExitCode {
    env_logger::init();
    camlens::platform::panics::log_expected_ones();
    camlens::platform::allocator::return_large_blocks();
    camlens::model::cpu::use_physical_cores();
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err((text, 0)) => {
            print!("{}", printable::lines(&text));
            return ExitCode::SUCCESS;
        }
        Err((line, status)) => {
            cli::say(&line);
            return ExitCode::from(status);
        }
    };
    let result = match &cli.command {
        Some(command) => cli::run(command),
        #[cfg(feature = "gui")]
        None => camlens::app::open_window(cli.window),
        #[cfg(not(feature = "gui"))]
        None => Err(cli::no_window()),
    };
    if let Err(error) = result {
        cli::say(&format!("{error:#}"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
