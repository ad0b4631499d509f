//! Opening the window on this system.

use std::time::Instant;

use anyhow::anyhow;
use eframe::egui::{ViewportBuilder, vec2};

use crate::app::background::tasks::system_picker;
use crate::app::display_server::{Server, server};
use crate::app::window::{App, Launch, NAME};
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
