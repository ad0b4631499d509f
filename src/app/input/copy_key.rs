//! Ctrl+C: egui copies selected text in labels; if no text is selected, camlens copies a picture.
//! Whether text is selected is known only at the end of egui's frame, because a label that was
//! clicked has an empty selection.

use eframe::egui::{Context, FullOutput, OutputCommand, Plugin};

/// Waits for the end of the frame in which Ctrl+C was pressed.
#[derive(Default)]
pub struct CopyKey {
    pressed: bool,
    picture: bool,
}

impl CopyKey {
    /// Records that the key was pressed in this frame.
    pub fn press(ctx: &Context) {
        ctx.plugin_or_default::<Self>().lock().pressed = true;
    }

    /// Whether to copy a picture: the key was pressed in the last frame, and no text was copied.
    pub fn take(ctx: &Context) -> bool {
        let plugin = ctx.plugin_or_default::<Self>();
        let mut plugin = plugin.lock();
        std::mem::take(&mut plugin.picture)
    }
}

impl Plugin for CopyKey {
    fn debug_name(&self) -> &'static str {
        "CopyKey"
    }

    fn output_hook(&mut self, ctx: &Context, output: &mut FullOutput) {
        if !std::mem::take(&mut self.pressed) {
            return;
        }
        let commands = &output.platform_output.commands;
        let is_text = |command: &OutputCommand| matches!(command, OutputCommand::CopyText(_));
        if !commands.iter().any(is_text) {
            self.picture = true;
            ctx.request_repaint();
        }
    }
}
