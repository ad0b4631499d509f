//! The browser of opened photos, once there is more than one: thumbnails with the top class
//! of each, sorted and filtered. Only what is in view is drawn, and has a thumbnail.

use eframe::egui;
use eframe::egui::{
    Align2, Color32, ComboBox, FontId, Panel, ProgressBar, Rect, RichText, ScrollArea, Sense,
    Stroke, StrokeKind, TextStyle, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use crate::app::command::Command;
use crate::app::pane::panes::WHOLE;
use crate::app::state::batch::in_words;
use crate::app::state::{PhotoOrder, Thumbnail};
use crate::app::{App, elide};
use crate::labels::{ClassId, Labels};
use crate::render::legend::percent;
use crate::text::printable;

/// A photo and what is said of it.
const CELL: Vec2 = vec2(96.0, 72.0);
const CAPTION: f32 = 14.0;
const CAPTION_FONT: f32 = 10.0;
const GAP: f32 = 4.0;
/// Height that shows one row of them.
const LOWEST: f32 = CELL.y + 36.0;
/// Points that the row above the photos needs without wrapping.
const ONE_ROW: f32 = 420.0;
/// Thumbnails that are kept although they are out of view: about 100 kB each, on the
/// graphics card.
const KEPT: usize = 64;

pub fn show(app: &mut App, ui: &mut Ui) {
    if app.state.photos.len() < 2 {
        return;
    }
    app.state.arrange();
    Panel::bottom("browser")
        .resizable(true)
        .default_size(CELL.y + 42.0)
        .size_range(LOWEST..=(0.6 * ui.available_height()).max(LOWEST))
        .show(ui, |ui| {
            ui.add_space(2.0);
            bar_ui(app, ui);
            grid_ui(app, ui);
        });
}

/// Count, order, filter, progress, table.
fn bar_ui(app: &mut App, ui: &mut Ui) {
    let narrow = ui.available_width() < ONE_ROW;
    let menu = if narrow { 70.0 } else { 110.0 };
    ui.horizontal_wrapped(|ui| {
        let (all, here) = (app.state.photos.len(), app.state.arrangement.order.len());
        ui.label(RichText::new(format!("{here} of {all} photos")).small());
        let whole = order_name(app, usize::MAX);
        let order = ComboBox::from_id_salt("photo order")
            .selected_text(in_box(ui, menu, |letters| order_name(app, letters)))
            .width(menu)
            .truncate()
            .show_ui(ui, |ui| {
                for order in PhotoOrder::ALL {
                    let now = app.state.order == order;
                    if ui.selectable_label(now, order.name()).clicked() {
                        app.state.sort_photos(order);
                    }
                }
            });
        name_box(&order.response, "Order of the photos", &whole);
        filter_ui(app, ui, menu);
        let table = egui::Button::new("CSV…").small();
        let table = ui.add_enabled(!app.state.batch.is_empty(), table);
        if table
            .on_hover_text("Save the predictions of these photos as a table")
            .clicked()
        {
            app.commands.push(Command::AskForTable);
        }
        progress_ui(app, ui);
    });
}

/// The order, with the class that it is by.
fn order_name(app: &App, letters: usize) -> String {
    match (app.state.order, app.state.sorted_by) {
        (PhotoOrder::Class, Some(class)) => format!("by {}", short_name(app, class, letters)),
        (order, _) => order.name().into(),
    }
}

/// A predicted class in at most so many letters; the model may be another one by now.
fn short_name(app: &App, class: ClassId, letters: usize) -> String {
    match labels_with(app, class) {
        Some(labels) => labels.shortened(class, letters),
        None => app.state.class_name(class),
    }
}

/// The names of the classes, if that one is among them.
fn labels_with(app: &App, class: ClassId) -> Option<&Labels> {
    let labels = app.state.model.as_ref().map(|model| &model.info.labels);
    labels.filter(|labels| class.index() < labels.len())
}

/// A text, for a number of letters of its names, that fits into a menu's box.
fn in_box(ui: &Ui, width: f32, text: impl Fn(usize) -> String) -> String {
    let font = TextStyle::Button.resolve(ui.style());
    elide::longest(ui.painter(), &font, elide::room_in_box(ui, width), text)
}

/// Photos of one predicted class only.
fn filter_ui(app: &mut App, ui: &mut Ui, width: f32) {
    let text = |letters| match app.state.filter {
        Some(class) => short_name(app, class, letters),
        None => "all classes".into(),
    };
    let whole = text(usize::MAX);
    let text = in_box(ui, width, text);
    let filter = ComboBox::from_id_salt("photo filter")
        .selected_text(text)
        .width(width)
        .truncate()
        .show_ui(ui, |ui| {
            let mut filter = app.state.filter;
            ui.selectable_value(&mut filter, None, "all classes");
            for &(class, count) in &app.state.arrangement.tops {
                let text = format!("{} ({count})", app.state.class_name(class));
                ui.selectable_value(&mut filter, Some(class), text);
            }
            app.state.filter = filter;
        });
    name_box(&filter.response, "Predicted class of the photos", &whole);
}

fn name_box(response: &egui::Response, name: &str, chosen: &str) {
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(egui::Role::ComboBox, true, name);
        info.current_text_value = Some(chosen.to_owned());
        info
    });
}

/// How far the predictions are.
fn progress_ui(app: &mut App, ui: &mut Ui) {
    let batch = &app.state.batch;
    if batch.is_stopped() && batch.len() < app.state.photos.len() {
        let classify = ui.small_button("Classify the rest");
        if classify.clicked() {
            app.state.batch.resume();
        }
        return;
    }
    let Some(progress) = batch.progress(app.state.photos.len()) else {
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
        .on_hover_text("Classify no more photos. What is there is kept")
        .clicked()
    {
        app.commands.push(Command::StopBatch);
    }
}

fn grid_ui(app: &mut App, ui: &mut Ui) {
    let columns = ((ui.available_width() - 12.0) / (CELL.x + GAP)).max(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some dozen
    let columns = columns as usize;
    let rows = app.state.arrangement.order.len().div_ceil(columns);
    let mut area = ScrollArea::vertical().id_salt("browser").auto_shrink(false);
    let is_current = |&index: &usize| Some(app.state.photos[index].id) == app.state.current;
    let here = app.state.arrangement.order.iter().position(is_current);
    if let Some(here) = here.filter(|_| app.browsed != app.state.current) {
        app.browsed = app.state.current;
        // Up to the row of the photo that was chosen by key or by dropping it.
        let row = (here / columns) as f32 * (CELL.y + GAP);
        let top = app.browser_top;
        let height = ui.available_height();
        if row < top || row + CELL.y > top + height {
            area = area.vertical_scroll_offset((row - (height - CELL.y) / 2.0).max(0.0));
        }
    }
    ui.spacing_mut().item_spacing.y = GAP;
    let mut in_view = Vec::new();
    let output = area.show_rows(ui, CELL.y, rows, |ui, rows| {
        for row in rows {
            let order = &app.state.arrangement.order;
            let last = order.len().min((row + 1) * columns);
            let photos: Vec<usize> = order[row * columns..last].to_vec();
            let (line, _) = ui.allocate_exact_size(
                vec2(columns as f32 * (CELL.x + GAP), CELL.y),
                Sense::hover(),
            );
            for (column, index) in photos.into_iter().enumerate() {
                let left = line.left() + column as f32 * (CELL.x + GAP);
                let rect = Rect::from_min_size(pos2(left, line.top()), CELL);
                cell_ui(app, ui, rect, index);
                in_view.push(index);
            }
        }
    });
    app.browser_top = output.state.unclamped_offset().y;
    thumbnails(app, &in_view);
}

/// One photo.
fn cell_ui(app: &mut App, ui: &mut Ui, rect: Rect, index: usize) {
    let item = &app.state.photos[index];
    let current = Some(item.id) == app.state.current;
    let name = printable::name(&item.source.name());
    let id = ui.scope_id().with(("photo", item.id));
    let response = ui.interact(rect, id, Sense::click());
    let answer = app.state.batch.get(item.id);
    let caption = |letters: usize| match answer {
        Some(Ok(found)) => labels_with(app, found.top).map_or(String::new(), |labels| {
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
        Thumbnail::Made(Ok(made)) => {
            let texture = app.textures.thumbnail(ui.ctx(), item.id, made);
            let shape = vec2(made.width as f32, made.height as f32);
            let fit = (picture.width() / shape.x).min(picture.height() / shape.y);
            let place = Rect::from_center_size(picture.center(), shape * fit);
            painter.image(texture.id(), place, WHOLE, Color32::WHITE);
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
    let number = item.id;
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
    if let Thumbnail::Made(Ok(made)) = &mut app.state.photos[index].thumbnail {
        made.rgb = Vec::new(); // the texture has it
    }
    if clicked {
        app.browsed = Some(number); // it is in view
        app.commands.push(Command::Show(number));
    }
}

/// Asks for the thumbnails in view, and lets go of others beyond a fixed number, so that
/// memory does not grow with the number of photos.
fn thumbnails(app: &mut App, in_view: &[usize]) {
    let photos = &mut app.state.photos;
    let missing = |index: &&usize| matches!(photos[**index].thumbnail, Thumbnail::NotWanted);
    let wanted = in_view.iter().filter(missing);
    let wanted = wanted.map(|&index| (photos[index].id, photos[index].source.clone()));
    app.thumbnails
        .want(wanted.collect(), app.state.settings.limits);
    let made = |thumbnail: &Thumbnail| matches!(thumbnail, Thumbnail::Made(Ok(_)));
    let count = photos.iter().filter(|item| made(&item.thumbnail)).count();
    let mut spare = count.saturating_sub(KEPT.max(2 * in_view.len()));
    if spare == 0 {
        return;
    }
    let seen: std::collections::HashSet<usize> = in_view.iter().copied().collect();
    for (index, item) in photos.iter_mut().enumerate() {
        if spare > 0 && made(&item.thumbnail) && !seen.contains(&index) {
            item.thumbnail = Thumbnail::NotWanted;
            app.textures.forget_thumbnail(item.id);
            spare -= 1;
        }
    }
}
