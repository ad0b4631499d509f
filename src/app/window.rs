//! Opening the window on this system.

use std::time::Instant;

use anyhow::anyhow;
use eframe::egui::{ViewportBuilder, vec2};

use super::errands::system_picker;
use super::{App, Launch, NAME};
use crate::cli::WindowArgs;
use crate::model::hub::Hub;

/// Opens the window and stays until it is closed.
///
/// # Errors
/// Where no window can be opened, with what works without one.
pub fn open_window(overrides: WindowArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let launch = Launch {
        overrides,
        picker: system_picker(),
        remember: true,
        hub: Hub::from_env(),
        started,
    };
    let options = eframe::NativeOptions {
        renderer: eframe::Renderer::Glow,
        viewport: ViewportBuilder::default()
            .with_title("camlens")
            .with_app_id(NAME)
            .with_inner_size(vec2(1280.0, 800.0))
            .with_min_inner_size(vec2(480.0, 360.0)),
        #[cfg(target_os = "linux")]
        event_loop_builder: prefer_x11(),
        ..eframe::NativeOptions::default()
    };
    let start = |cc: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        log::debug!("the window is there after {:?}", started.elapsed());
        Ok(Box::new(App::new(cc, launch)?))
    };
    eframe::run_native(NAME, options, Box::new(start)).map_err(|error| {
        anyhow!(
            "Can't open a window ({error}). On a machine without a display use: \
             camlens explain PHOTO --out OVERLAY.png"
        )
    })
}

/// winit 0.30 gets no file drops on Wayland; through `XWayland` it does.
#[cfg(target_os = "linux")]
fn prefer_x11() -> Option<eframe::EventLoopBuilderHook> {
    use winit::platform::x11::EventLoopBuilderExtX11;
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("WAYLAND_DISPLAY") && is_set("DISPLAY") {
        Some(Box::new(|builder| {
            builder.with_x11();
        }))
    } else {
        None
    }
}
