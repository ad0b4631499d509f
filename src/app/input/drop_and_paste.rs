//! Photos that are dropped on the window or pasted into it.

use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui;
use eframe::egui::Context;

use crate::app::state::action::Actions;
use crate::app::state::command::Command;
use crate::input::photo::Photo;
use crate::worker::PhotoSource;

/// Opens photos that were dropped on the window or pasted into it. Gives a message for the user if
/// what was pasted can't be opened.
pub fn take_photos_in(ctx: &Context, actions: &mut Actions) -> Option<String> {
    let dropped = ctx.input(|input| input.raw.dropped_files.clone());
    let files: Vec<PhotoSource> = dropped
        .iter()
        .map(|file| PhotoSource::File(file.path().to_owned()))
        .collect();
    if !files.is_empty() {
        actions.push(Command::Open(files));
    }
    if ctx.text_edit_focused() {
        return None; // the paste is for the text field
    }
    let events = ctx.input(|input| input.events.clone());
    let mut message = None;
    for event in &events {
        match event {
            egui::Event::Paste(text) => match paste_text(text) {
                Ok(command) => actions.push(command),
                Err(why) => message = Some(why),
            },
            egui::Event::PasteImage(image) => {
                let rgba = image
                    .pixels
                    .iter()
                    .flat_map(egui::Color32::to_srgba_unmultiplied)
                    .collect();
                let photo = Photo::from_rgba("pasted image", image.size[0], image.size[1], rgba);
                let sources = photo.map(|photo| vec![PhotoSource::Pixels(Arc::new(photo))]);
                actions.extend(sources.map(Command::Open));
            }
            _ => {}
        }
    }
    message
}

/// Opens paths or file URIs, one per line, as file managers copy them.
fn paste_text(text: &str) -> Result<Command, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let paths: Vec<PathBuf> = lines.take(MOST_LINES).map(path_from_text).collect();
    if paths.iter().any(|path| path.exists()) {
        let files = paths.into_iter().map(PhotoSource::File);
        Ok(Command::Open(files.collect()))
    } else {
        let start: String = text.trim().chars().take(60).collect();
        Err(format!(
            "The clipboard holds neither an image nor the path of a file ({start:?}). Copy an image or a file, then paste again."
        ))
    }
}

/// Maximum number of lines: longer text does not come from a file manager.
const MOST_LINES: usize = 10_000;

/// Parses a path as typed or copied: plain, quoted, or a `file://` URI.
fn path_from_text(text: &str) -> PathBuf {
    let text = text.trim_matches(['"', '\'']);
    match text.strip_prefix("file://") {
        Some(encoded) => {
            let decoded = percent_encoding::percent_decode_str(encoded);
            #[cfg(unix)]
            {
                use std::os::unix::ffi::OsStringExt;
                // A file name need not be UTF-8.
                std::ffi::OsString::from_vec(decoded.collect()).into()
            }
            #[cfg(not(unix))]
            PathBuf::from(decoded.decode_utf8_lossy().as_ref())
        }
        None => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::path_from_text;
    use std::path::Path;

    #[test]
    fn paths_are_read_as_people_copy_them() {
        for text in [
            "/a b/c.png",
            "\"/a b/c.png\"",
            "file:///a%20b/c.png",
            "'/a b/c.png'",
        ] {
            assert_eq!(path_from_text(text), Path::new("/a b/c.png"));
        }
    }
}
