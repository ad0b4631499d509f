//! Opening the window on this system.

use std::time::Instant;

use anyhow::anyhow;
use eframe::egui::{ViewportBuilder, vec2};

use crate::app::background::tasks::system_picker;
use crate::app::{App, Launch, NAME};
use crate::cli::WindowArgs;
use crate::model::hub::Hub;

/// Opens the window and returns when it is closed.
///
/// # Errors
/// If no window can be opened; the message says what works without one.
pub fn open_window(overrides: WindowArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let server = server();
    let launch = Launch {
        overrides,
        picker: system_picker(),
        remember: true,
        hub: Hub::from_env(),
        server,
        started,
    };
    let options = eframe::NativeOptions {
        renderer: eframe::Renderer::Glow,
        viewport: viewport()
            .with_title("camlens")
            .with_app_id(NAME)
            .with_inner_size(vec2(1280.0, 800.0))
            .with_min_inner_size(vec2(480.0, 360.0)),
        #[cfg(target_os = "linux")]
        event_loop_builder: Some(on_server(server)),
        ..eframe::NativeOptions::default()
    };
    let start = |cc: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        log::debug!("the window opened after {:?}", started.elapsed());
        Ok(Box::new(App::new(cc, launch)?))
    };
    eframe::run_native(NAME, options, Box::new(start)).map_err(|error| {
        anyhow!(
            "Can't open a window ({error}). On a machine without a display use: \
             camlens explain PHOTO --out OVERLAY.png"
        )
    })
}

/// The window's properties, with our icon if it can be read.
fn viewport() -> ViewportBuilder {
    let icon = eframe::icon_data::from_png_bytes(include_bytes!("../../assets/icon.png"));
    match icon {
        Ok(icon) => ViewportBuilder::default().with_icon(icon),
        Err(error) => {
            log::error!("the icon can't be read: {error}");
            ViewportBuilder::default()
        }
    }
}

/// The display system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Native Wayland: files dropped on the window do not arrive.
    Wayland,
    /// X11, macOS, Windows.
    Other,
}

/// winit 0.30 does not receive dropped files on Wayland, but through `XWayland` it does, if that is
/// running.
#[cfg(target_os = "linux")]
fn server() -> Server {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let wayland = set("WAYLAND_DISPLAY").is_some() || set("WAYLAND_SOCKET").is_some();
    let x11 = set("DISPLAY").is_some_and(|display| x11_answers(&display));
    if wayland && !x11 {
        Server::Wayland
    } else {
        Server::Other
    }
}

#[cfg(not(target_os = "linux"))]
fn server() -> Server {
    Server::Other
}

/// Whether an X server on this computer responds; a server on another computer is assumed to exist.
#[cfg(target_os = "linux")]
fn x11_answers(display: &str) -> bool {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    let here = display.strip_prefix("unix").unwrap_or(display);
    let Some(number) = here.strip_prefix(':') else {
        return true;
    };
    let number = number.split('.').next().unwrap_or_default();
    let path = format!("/tmp/.X11-unix/X{number}");
    let hidden = SocketAddr::from_abstract_name(&path);
    UnixStream::connect(&path).is_ok()
        || hidden.is_ok_and(|address| UnixStream::connect_addr(&address).is_ok())
}

/// An event loop on the display system that was found.
#[cfg(target_os = "linux")]
fn on_server(server: Server) -> eframe::EventLoopBuilderHook {
    use winit::platform::wayland::EventLoopBuilderExtWayland;
    use winit::platform::x11::EventLoopBuilderExtX11;
    log::debug!("shown by {server:?}");
    Box::new(move |builder| {
        match server {
            Server::Wayland => builder.with_wayland(),
            Server::Other => builder.with_x11(),
        };
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::x11_answers;

    #[test]
    fn a_display_that_is_not_there_does_not_answer() {
        assert!(!x11_answers(":48213"));
        assert!(!x11_answers("unix:48213.0"));
        assert!(x11_answers("elsewhere:0"));
    }
}
