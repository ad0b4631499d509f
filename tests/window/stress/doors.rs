//! What a user can do, each by the control that does it: a key, a button or a field by its name, a
//! file that is dropped. A control that should be there and is not fails the test.

// All doors have the same type.
#![allow(clippy::unnecessary_wraps)]

mod classes;
mod looks;
mod models;
mod outside;
mod panes;
mod photos;

use super::*;

/// An action of the user.
pub struct Door {
    /// Its name.
    pub name: &'static str,
    /// How often it is performed, relative to the others.
    pub weight: usize,
    /// Whether what comes of it is the same each time, however fast the computer is.
    pub repeats: bool,
    /// Does it and gives its name; nothing if there is nothing to do it with now.
    pub open: fn(&mut Session) -> Option<String>,
}

const fn door(weight: usize, name: &'static str, open: fn(&mut Session) -> Option<String>) -> Door {
    Door {
        name,
        weight,
        repeats: true,
        open,
    }
}

/// One that depends on how fast threads are.
const fn racing(
    weight: usize,
    name: &'static str,
    open: fn(&mut Session) -> Option<String>,
) -> Door {
    Door {
        repeats: false,
        ..door(weight, name, open)
    }
}

/// All actions.
pub const DOORS: [Door; 53] = [
    door(6, "drop a photo", photos::drop_photo),
    door(2, "drop photos, one of them broken", photos::drop_photos),
    door(3, "drop a broken photo", photos::drop_broken),
    door(1, "open photos", photos::open_photos),
    door(1, "open a folder", photos::open_folder),
    door(2, "paste", photos::paste),
    door(6, "photo keys", photos::photo_keys),
    door(3, "a photo of the browser", photos::browser),
    door(2, "limits", photos::limits),
    door(2, "gray levels of a photo", photos::gray_levels),
    door(2, "order of the photos", photos::order),
    door(2, "filter of the photos", photos::filter),
    racing(1, "stop classifying, and go on", photos::stop_predictions),
    door(3, "drop weights", models::drop_weights),
    door(1, "open weights", models::open_weights),
    door(2, "drop weights that are none", models::drop_garbage),
    door(
        2,
        "drop a photo and weights that are none",
        models::drop_both,
    ),
    door(2, "drop class names", models::drop_names),
    door(1, "open class names", models::open_names),
    door(
        2,
        "drop class names for another model",
        models::drop_wrong_names,
    ),
    door(5, "the usual class names", models::usual_names),
    door(3, "the built-in model", models::built_in),
    door(1, "the recent model", models::recent_model),
    door(5, "framing", models::framing),
    door(3, "preprocessing", models::preprocessing),
    door(2, "a mean by hand", models::mean_by_hand),
    door(
        4,
        "the model's own preprocessing",
        models::reset_preprocessing,
    ),
    door(2, "scores", models::scores),
    door(2, "device", models::device),
    door(1, "the tutorial's settings", models::tutorial),
    racing(1, "download weights, and stop", models::download),
    door(3, "choose a class", classes::choose_class),
    door(2, "search for a class", classes::search),
    door(
        1,
        "an improbable class, and the top one in its pane",
        classes::improbable,
    ),
    door(2, "keep the class", classes::keep_class),
    door(3, "the top class", classes::top_class),
    door(3, "why not another class", classes::why_not),
    door(1, "order of the classes", classes::order),
    door(8, "layer and class keys", classes::layer_and_class_keys),
    door(2, "method or class of a pane", panes::pane_menu),
    door(2, "layer of a pane", panes::pane_layer),
    door(2, "layer for all", panes::layer),
    door(1, "formula of Grad-CAM++", panes::formula),
    door(2, "lock a range", panes::lock),
    door(2, "draw a region", panes::draw_region),
    door(2, "change a region", panes::change_region),
    door(8, "look keys", looks::look_keys),
    door(6, "look menus and sliders", looks::display_options),
    door(2, "window size", looks::resize),
    door(2, "dismiss what is said", outside::dismiss),
    door(1, "copy a pane", outside::copy),
    door(1, "export, or a table", outside::export),
    door(2, "drop a manifest", outside::drop_manifest),
];
