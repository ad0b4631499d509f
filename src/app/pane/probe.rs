//! What is under the pointer: the cell's value in every pane, its share of the logit, the
//! heat there, and the classes that the cell speaks for most.

use eframe::egui::{
    Align2, Color32, FontId, Key, Modifiers, Painter, Pos2, Rect, Ui, Vec2, pos2, vec2,
};

use crate::app::App;
use crate::app::state::settings::Side;
use crate::app::textures::Heat;
use crate::explain::analysis::Analysis;
use crate::labels::ClassId;
use crate::render::heatmap::{Heatmap, Interpolation};
use crate::render::legend::logit_share;
use crate::worker::Answer;

/// Classes that are named.
const NAMED: usize = 3;
/// Letters of their names: three of them, and the cell's values, are in one line.
const LETTERS: usize = 32;

/// What a cell of the last layer adds to the logits, kept while the pointer is on it.
pub struct CellClasses {
    job: u64,
    cell: (usize, usize),
    /// The classes to which it adds most, and how much.
    most: Vec<(ClassId, f32)>,
}

/// A position (0..1) in photo pixels.
fn in_photo(shown: &Answer, probe: Pos2) -> (f64, f64) {
    (
        f64::from(probe.x) * shown.photo.width as f64,
        f64::from(probe.y) * shown.photo.height as f64,
    )
}

/// The row and the column of the cell under the probe, if the network saw it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the cells
fn cell_under(shown: &Answer, probe: Pos2, cells: (usize, usize)) -> Option<(usize, usize)> {
    let placement = &shown.analysis.placement;
    let (x, y) = placement.cells_from_photo(in_photo(shown, probe), cells)?;
    Some(((y as usize).min(cells.1 - 1), (x as usize).min(cells.0 - 1)))
}

/// Where the pointer is, and the classes for which the last layer's cell there speaks most.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // on the photo
pub fn summary(app: &mut App, shown: &Answer, probe: Pos2) -> String {
    let (x, y) = in_photo(shown, probe);
    let position = format!("x {} y {}", x as usize, y as usize);
    match classes_text(app, shown, probe) {
        None => format!("{position} · not seen by the network"),
        Some(classes) => {
            let values = app.state.settings.view.sides().iter().filter_map(|&side| {
                let heat = app.textures.kept(side)?;
                let text = value_text(
                    shown,
                    probe,
                    heat,
                    app.state.settings.display_options.interpolation,
                )?;
                Some(format!(" · {}: {text}", heat.map.recipe.method.name()))
            });
            let values: String = values.collect();
            format!("{position}{values} · {classes}")
        }
    }
}

/// The cell's value under the probe, its share, and the heat there.
fn value_text(
    shown: &Answer,
    probe: Pos2,
    heat: &Heat,
    interpolation: Interpolation,
) -> Option<String> {
    let map = &heat.map;
    let size = (map.width, map.height);
    let (row, column) = cell_under(shown, probe, size)?;
    let cell = map.cells.get(row * map.width + column)?;
    let share = if map.recipe.method.is_in_logits(map.layer) {
        match logit_share(*cell, map.sum()) {
            Some(share) => format!(" logit, {share:+.1} % of {:.3}", map.sum()),
            None => " logit".into(),
        }
    } else {
        String::new()
    };
    let at = in_photo(shown, probe);
    let placement = &shown.analysis.placement;
    let here = heat
        .range
        .and_then(|range| Heatmap::at(map, range, placement, at, interpolation))
        .map_or(String::new(), |heat| format!(", heat {heat:.2}"));
    let layer = shown.analysis.model.architecture.layer_name(map.layer);
    Some(format!(
        "{cell:+.4}{share}{here} ({layer} cell {row}, {column})"
    ))
}

/// The classes for which the cell of the last layer speaks most, and with how much.
fn classes_text(app: &mut App, shown: &Answer, probe: Pos2) -> Option<String> {
    let analysis = &shown.analysis;
    let size = (analysis.features.width, analysis.features.height);
    let cell = cell_under(shown, probe, size)?;
    let kept = app.cell_classes.take();
    let kept = kept.filter(|kept| kept.job == shown.job && kept.cell == cell);
    let kept = kept.unwrap_or_else(|| CellClasses {
        job: shown.job,
        cell,
        most: most(analysis, cell),
    });
    let name = |class| analysis.model.labels.shortened(class, LETTERS);
    let named = kept.most.iter();
    let named = named.map(|(class, logit)| format!("{} {logit:+.3}", name(*class)));
    let text = format!("speaks most for {}", named.collect::<Vec<_>>().join(", "));
    app.cell_classes = Some(kept);
    Some(text)
}

fn most(analysis: &Analysis, (row, column): (usize, usize)) -> Vec<(ClassId, f32)> {
    let logits = analysis.cell_logits(row, column);
    let mut classes: Vec<(ClassId, f32)> = ClassId::all(logits.len()).zip(logits).collect();
    let count = NAMED.min(classes.len());
    classes.select_nth_unstable_by(count - 1, |a, b| b.1.total_cmp(&a.1));
    classes.truncate(count);
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    classes
}

/// What a pane says of the place under the probe: an overlay its values; the photo, or a
/// single overlay, the classes as well.
pub fn pane_label(
    app: &mut App,
    shown: &Answer,
    side: Option<Side>,
    (painter, picture): (&Painter, Rect),
) {
    let Some(probe) = app.probe else {
        return;
    };
    let alone = app.state.settings.view.sides().len() == 1;
    let interpolation = app.state.settings.display_options.interpolation;
    let mut lines = Vec::new();
    if let Some(heat) = side.and_then(|side| app.textures.kept(side)) {
        lines.extend(value_text(shown, probe, heat, interpolation));
    }
    if (side.is_none() || alone)
        && let Some(classes) = classes_text(app, shown, probe)
    {
        lines.push(classes);
    }
    if lines.is_empty() {
        return;
    }
    let font = FontId::proportional(11.0);
    let width = picture.width() - 20.0;
    let galley = painter.layout(lines.join("\n"), font, Color32::WHITE, width.max(40.0));
    let size = galley.size() + vec2(8.0, 4.0);
    let corner = picture.left_top() + Vec2::splat(6.0);
    let area = Align2::LEFT_TOP.anchor_size(corner, size);
    painter.rect_filled(area, 3.0, Color32::from_black_alpha(190));
    painter.galley(area.min + vec2(4.0, 2.0), galley, Color32::WHITE);
}

/// Moves the probe by a cell of the last layer with the arrow keys, in a pane that has the
/// focus.
pub fn arrows(app: &mut App, ui: &Ui, shown: &Answer) {
    let features = &shown.analysis.features;
    let size = (features.width, features.height);
    let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let step = |less: Key, more: Key| i32::from(pressed(more)) - i32::from(pressed(less));
    let across = step(Key::ArrowLeft, Key::ArrowRight);
    let down = step(Key::ArrowUp, Key::ArrowDown);
    if across == 0 && down == 0 {
        return;
    }
    let middle = (size.1 / 2, size.0 / 2);
    let cell = match app.probe_by_key {
        None => middle,
        Some(probe) => {
            let (row, column) = cell_under(shown, probe, size).unwrap_or(middle);
            let moved = |at: usize, by: i32, count: usize| {
                at.saturating_add_signed(by as isize).min(count - 1)
            };
            (moved(row, down, size.1), moved(column, across, size.0))
        }
    };
    let center = (cell.1 as f64 + 0.5, cell.0 as f64 + 0.5);
    let (x, y) = shown.analysis.placement.photo_from_cells(center, size);
    #[allow(clippy::cast_possible_truncation)] // screen precision
    let share = |at: f64, side: usize| (at / side as f64) as f32;
    app.probe_by_key = Some(pos2(
        share(x, shown.photo.width),
        share(y, shown.photo.height),
    ));
}
