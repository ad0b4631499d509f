//! The browser of opened photos, shown if there are several: thumbnails with the top class of each,
//! which can be sorted and filtered. Only photos in view are drawn and have a thumbnail.

use eframe::egui;
use eframe::egui::{
    Align2, Color32, ComboBox, FontId, Panel, ProgressBar, Rect, RichText, ScrollArea, Sense,
    Stroke, StrokeKind, TextStyle, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use crate::app::elide;
use crate::app::painting::WHOLE;
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::batch::in_words;
use crate::app::state::command::Command;
use crate::app::state::photo_item::{PhotoOrder, Thumbnail};
use crate::app::textures::Textures;
use crate::app::widgets::name_menu;
use crate::labels::{ClassId, Labels};
use crate::render::legend::percent;
use crate::text::printable;

/// The size of a thumbnail with its caption.
const CELL: Vec2 = vec2(96.0, 72.0);
const CAPTION: f32 = 14.0;
const CAPTION_FONT: f32 = 10.0;
const GAP: f32 = 4.0;
/// Minimum height, enough for one row.
const LOWEST: f32 = CELL.y + 36.0;
/// Width in points that the row above the photos needs without wrapping.
const ONE_ROW: f32 = 420.0;

/// The view of the browser.
#[derive(Default)]
pub struct BrowserView {
    /// The photo it last scrolled to.
    scrolled_to: Option<u64>,
    /// How far it is scrolled, in points.
    top: f32,
    /// The indices of the photos that were drawn last. Their thumbnails are requested at the end
    /// of the frame.
    pub in_view: Vec<usize>,
}

/// Draws the browser if there is more than one photo.
pub fn show(
    ui: &mut Ui,
    state: &State,
    textures: &Textures,
    view: &mut BrowserView,
    actions: &mut Actions,
) {
    view.in_view.clear();
    if state.photos.len() < 2 {
        return;
    }
    Panel::bottom("browser")
        .resizable(true)
        .default_size(CELL.y + 42.0)
        .size_range(LOWEST..=(0.6 * ui.available_height()).max(LOWEST))
        .show(ui, |ui| {
            ui.add_space(2.0);
            bar_ui(ui, state, actions);
            grid_ui(ui, state, textures, view, actions);
        });
}

/// Count, order, filter, progress, table.
fn bar_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let narrow = ui.available_width() < ONE_ROW;
    let menu = if narrow { 70.0 } else { 110.0 };
    ui.horizontal_wrapped(|ui| {
        let (all, here) = (state.photos.len(), state.arrangement.order.len());
        ui.label(RichText::new(format!("{here} of {all} photos")).small());
        let whole = order_name(state, usize::MAX);
        let order = ComboBox::from_id_salt("photo order")
            .selected_text(in_box(ui, menu, |letters| order_name(state, letters)))
            .width(menu)
            .truncate()
            .show_ui(ui, |ui| {
                for order in PhotoOrder::ALL {
                    let now = state.order == order;
                    if ui.selectable_label(now, order.name()).clicked() {
                        actions.push(Action::SortPhotos(order));
                    }
                }
            });
        name_menu(ui, &order.response, "Order of the photos", &whole);
        filter_ui(ui, state, menu, actions);
        let table = egui::Button::new("CSV…").small();
        let table = ui.add_enabled(!state.batch.is_empty(), table);
        if table
            .on_hover_text("Save the predictions of these photos as a table")
            .clicked()
        {
            actions.push(Command::AskForTable);
        }
        progress_ui(ui, state, actions);
    });
}

/// The name of the order, with the class that it refers to.
fn order_name(state: &State, letters: usize) -> String {
    match (state.order, state.sorted_by) {
        (PhotoOrder::Class, Some(class)) => format!("by {}", short_name(state, class, letters)),
        (order, _) => order.name().into(),
    }
}

/// The name of a predicted class in at most `letters` characters; the model may have changed since.
fn short_name(state: &State, class: ClassId, letters: usize) -> String {
    match labels_with(state, class) {
        Some(labels) => labels.shortened(class, letters),
        None => state.class_name(class),
    }
}

/// The names of the classes, if they include this one.
fn labels_with(state: &State, class: ClassId) -> Option<&Labels> {
    let labels = state.model.as_ref().map(|model| &model.info.labels);
    labels.filter(|labels| class.index() < labels.len())
}

/// The longest text that fits into the box of a menu, where `text` gives the text for a number of
/// letters.
fn in_box(ui: &Ui, width: f32, text: impl Fn(usize) -> String) -> String {
    let font = TextStyle::Button.resolve(ui.style());
    elide::longest(ui.painter(), &font, elide::room_in_box(ui, width), text)
}

/// Shows only photos with one predicted class.
fn filter_ui(ui: &mut Ui, state: &State, width: f32, actions: &mut Actions) {
    let text = |letters| match state.filter {
        Some(class) => short_name(state, class, letters),
        None => "all classes".into(),
    };
    let whole = text(usize::MAX);
    let text = in_box(ui, width, text);
    let filter = ComboBox::from_id_salt("photo filter")
        .selected_text(text)
        .width(width)
        .truncate()
        .show_ui(ui, |ui| {
            let mut filter = state.filter;
            ui.selectable_value(&mut filter, None, "all classes");
            for &(class, count) in &state.arrangement.tops {
                let text = format!("{} ({count})", state.class_name(class));
                ui.selectable_value(&mut filter, Some(class), text);
            }
            actions.set(&state.filter, filter, Action::FilterPhotos);
        });
    name_menu(
        ui,
        &filter.response,
        "Predicted class of the photos",
        &whole,
    );
}

/// The progress of the predictions.
fn progress_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let batch = &state.batch;
    if batch.is_stopped() && batch.len() < state.photos.len() {
        let classify = ui.small_button("Classify the rest");
        if classify.clicked() {
            actions.push(Action::ResumePredictions);
        }
        return;
    }
    let Some(progress) = batch.progress(state.photos.len()) else {
        return;
    };
    let left = progress.left.map(in_words).unwrap_or_default();
    let text = format!("{} of {} {left}", progress.done, progress.total);
    let share = progress.done as f32 / progress.total as f32;
    let room = (ui.available_width() - 60.0).clamp(60.0, 220.0);
    ui.add(
        ProgressBar::new(share)
            .desired_width(room)
            .text(RichText::new(text).small()),
    );
    let stop = ui.small_button("Stop");
    if stop
        .on_hover_text("Stop classifying photos. Existing predictions are kept")
        .clicked()
    {
        actions.push(Action::StopPredictions);
    }
}

fn grid_ui(
    ui: &mut Ui,
    state: &State,
    textures: &Textures,
    view: &mut BrowserView,
    actions: &mut Actions,
) {
    let columns = ((ui.available_width() - 12.0) / (CELL.x + GAP)).max(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some dozen
    let columns = columns as usize;
    let rows = state.arrangement.order.len().div_ceil(columns);
    let mut area = ScrollArea::vertical().id_salt("browser").auto_shrink(false);
    let is_current = |&index: &usize| Some(state.photos[index].id) == state.current;
    let here = state.arrangement.order.iter().position(is_current);
    if let Some(here) = here.filter(|_| view.scrolled_to != state.current) {
        view.scrolled_to = state.current;
        // Scroll to the row of the photo that was chosen with a key or dropped.
        let row = (here / columns) as f32 * (CELL.y + GAP);
        let top = view.top;
        let height = ui.available_height();
        if row < top || row + CELL.y > top + height {
            area = area.vertical_scroll_offset((row - (height - CELL.y) / 2.0).max(0.0));
        }
    }
    ui.spacing_mut().item_spacing.y = GAP;
    let output = area.show_rows(ui, CELL.y, rows, |ui, rows| {
        for row in rows {
            let order = &state.arrangement.order;
            let last = order.len().min((row + 1) * columns);
            let photos: Vec<usize> = order[row * columns..last].to_vec();
            let (line, _) = ui.allocate_exact_size(
                vec2(columns as f32 * (CELL.x + GAP), CELL.y),
                Sense::hover(),
            );
            for (column, index) in photos.into_iter().enumerate() {
                let left = line.left() + column as f32 * (CELL.x + GAP);
                let rect = Rect::from_min_size(pos2(left, line.top()), CELL);
                if cell_ui(ui, state, textures, rect, index) {
                    let id = state.photos[index].id;
                    view.scrolled_to = Some(id); // it is visible now
                    actions.push(Action::ShowPhoto(id));
                }
                view.in_view.push(index);
            }
        }
    });
    view.top = output.state.unclamped_offset().y;
}

/// Draws one photo. Returns whether it was clicked.
fn cell_ui(ui: &mut Ui, state: &State, textures: &Textures, rect: Rect, index: usize) -> bool {
    let item = &state.photos[index];
    let current = Some(item.id) == state.current;
    let name = printable::name(&item.source.name());
    let id = ui.scope_id().with(("photo", item.id));
    let response = ui.interact(rect, id, Sense::click());
    let answer = state.batch.get(item.id);
    let caption = |letters: usize| match answer {
        Some(Ok(found)) => labels_with(state, found.top).map_or(String::new(), |labels| {
            let probability = percent(found.probability(found.top));
            format!("{probability} {}", labels.shortened(found.top, letters))
        }),
        Some(Err(_)) => "can't be read".into(),
        None => String::new(),
    };
    let short = {
        let font = FontId::proportional(CAPTION_FONT);
        elide::longest(ui.painter(), &font, rect.width(), caption)
    };
    let caption = caption(usize::MAX);
    response.widget_info(|| {
        let label = match &caption[..] {
            "" => format!("photo {name}"),
            caption => format!("photo {name}, {caption}"),
        };
        WidgetInfo::selected(egui::Role::Button, true, current, label)
    });
    let painter = ui.painter();
    let picture = rect.with_max_y(rect.bottom() - CAPTION);
    let visuals = ui.visuals();
    painter.rect_filled(picture, 2.0, visuals.extreme_bg_color);
    match &item.thumbnail {
        Thumbnail::Made(Ok(())) => {
            if let Some(texture) = textures.thumbnail(item.id) {
                let shape = texture.size_vec2();
                let fit = (picture.width() / shape.x).min(picture.height() / shape.y);
                let place = Rect::from_center_size(picture.center(), shape * fit);
                painter.image(texture.id(), place, WHOLE, Color32::WHITE);
            }
        }
        Thumbnail::Made(Err(_)) => {
            let font = FontId::proportional(20.0);
            let color = visuals.error_fg_color;
            painter.text(picture.center(), Align2::CENTER_CENTER, "!", font, color);
        }
        Thumbnail::NotWanted => {}
    }
    let (text, color) = match &caption[..] {
        "" => (&*name, visuals.weak_text_color()),
        _ => (&*short, visuals.text_color()),
    };
    let mut job = egui::text::LayoutJob::simple_singleline(
        text.to_owned(),
        FontId::proportional(CAPTION_FONT),
        color,
    );
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width());
    let galley = painter.layout_job(job);
    painter.galley(picture.left_bottom() + vec2(0.0, 1.0), galley, color);
    let stroke = if current {
        Stroke::new(2.0, visuals.selection.bg_fill)
    } else if response.hovered() || response.has_focus() {
        Stroke::new(1.0, visuals.text_color())
    } else {
        Stroke::NONE
    };
    painter.rect_stroke(picture, 2.0, stroke, StrokeKind::Inside);
    let clicked = response.clicked();
    response.on_hover_ui(|ui| {
        ui.label(&name);
        match (answer, &item.thumbnail) {
            (Some(Err(message)), _) | (_, Thumbnail::Made(Err(message))) => _ = ui.label(message),
            (Some(Ok(found)), _) => {
                ui.label(&caption);
                ui.label(format!("{}×{} pixels", found.size.0, found.size.1));
            }
            _ => {}
        }
    });
    clicked
}
