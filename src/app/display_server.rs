//! Which display system shows the window.

/// The display system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Native Wayland: files dropped on the window do not arrive.
    Wayland,
    /// X11, macOS, Windows.
    Other,
}

/// The display system to use: winit 0.30 does not receive dropped files on Wayland, but it does
/// through `XWayland`, if that is running.
#[cfg(target_os = "linux")]
pub fn server() -> Server {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let wayland = set("WAYLAND_DISPLAY").is_some() || set("WAYLAND_SOCKET").is_some();
    let x11 = set("DISPLAY").is_some_and(|display| x11_answers(&display));
    if wayland && !x11 {
        Server::Wayland
    } else {
        Server::Other
    }
}

/// The display system to use.
#[cfg(not(target_os = "linux"))]
pub fn server() -> Server {
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
