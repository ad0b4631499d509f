//! What is under the pointer: the cell's value in every pane, its share of the logit, its heat, and
//! the classes that the cell is the strongest evidence for.

use eframe::egui::{
    Align2, Color32, FontId, Key, Modifiers, Painter, Pos2, Rect, Ui, Vec2, pos2, vec2,
};

use crate::app::state::State;
use crate::app::state::settings::Side;
use crate::app::textures::{Heat, Textures};
use crate::explain::analysis::Analysis;
use crate::input::framing::CellGrid;
use crate::labels::ClassId;
use crate::render::heatmap::{Heatmap, Interpolation};
use crate::render::legend::logit_share;
use crate::worker::Answer;

/// Number of classes named.
const NAMED: usize = 3;
/// Maximum length of their names: three names and the cell's values must fit on one line.
const LETTERS: usize = 32;

/// What is under the pointer.
#[derive(Default)]
pub struct PointerProbe {
    /// The photo position, 0..1 on both axes. The status line shows it in the next frame: it is
    /// drawn before the panes.
    pub at: Option<Pos2>,
    /// A probe position that was moved with the arrow keys.
    pub by_key: Option<Pos2>,
    cell_classes: Option<CellClasses>,
}

/// The contributions of a cell of the last layer to the logits, cached while the pointer is on it.
struct CellClasses {
    job: u64,
    cell: (usize, usize),
    /// The classes with the largest contributions, and the contributions.
    most: Vec<(ClassId, f32)>,
}

/// Converts a position (0..1) to photo pixels.
fn in_photo(shown: &Answer, probe: Pos2) -> (f64, f64) {
    (
        f64::from(probe.x) * shown.photo.width as f64,
        f64::from(probe.y) * shown.photo.height as f64,
    )
}

/// The row and column of the cell under the probe, if the network saw it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the cells
fn cell_under(shown: &Answer, probe: Pos2, grid: CellGrid) -> Option<(usize, usize)> {
    let placement = &shown.analysis.placement;
    let (x, y) = placement.cells_from_photo(in_photo(shown, probe), grid)?;
    let row = (y as usize).min(grid.rows - 1);
    Some((row, (x as usize).min(grid.columns - 1)))
}

/// The pointer position, and the classes that the default layer's cell there contributes most to.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // on the photo
pub fn summary(
    (state, textures): (&State, &Textures),
    probe: &mut PointerProbe,
    shown: &Answer,
    at: Pos2,
) -> String {
    let (x, y) = in_photo(shown, at);
    let position = format!("x {} y {}", x as usize, y as usize);
    if cell_under(shown, at, shown.analysis.grid()).is_none() {
        return format!("{position} · not seen by the network");
    }
    let classes = probe.classes_text(shown, at);
    let classes = classes.map_or(String::new(), |classes| format!(" · {classes}"));
    let values = state.settings.view.sides().iter().filter_map(|&side| {
        let heat = textures.kept(side)?;
        let text = value_text(
            shown,
            at,
            heat,
            state.settings.display_options.interpolation,
        )?;
        Some(format!(" · {}: {text}", heat.map.recipe.method.name()))
    });
    let values: String = values.collect();
    format!("{position}{values}{classes}")
}

/// The value of the cell under the probe, its share, and its heat.
fn value_text(
    shown: &Answer,
    probe: Pos2,
    heat: &Heat,
    interpolation: Interpolation,
) -> Option<String> {
    let map = &heat.map;
    let (row, column) = cell_under(shown, probe, map.grid())?;
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
    // For one frame, the heat may still belong to the last answer.
    let layer = heat.analysis().model.layer_name(map.layer.id);
    Some(format!(
        "{cell:+.4}{share}{here} ({layer} cell {row}, {column})"
    ))
}

impl PointerProbe {
    /// The classes that the cell of the default layer contributes most to, with the contributions;
    /// `None` if there is no closed form for them.
    fn classes_text(&mut self, shown: &Answer, at: Pos2) -> Option<String> {
        let analysis = &shown.analysis;
        let cell = cell_under(shown, at, analysis.grid())?;
        let kept = self.cell_classes.take();
        let kept = kept.filter(|kept| kept.job == shown.job && kept.cell == cell);
        let kept = match kept {
            Some(kept) => kept,
            None => CellClasses {
                job: shown.job,
                cell,
                most: most(analysis, cell)?,
            },
        };
        let name = |class| analysis.model.labels.shortened(class, LETTERS);
        let named = kept.most.iter();
        let named = named.map(|(class, logit)| format!("{} {logit:+.3}", name(*class)));
        let text = format!("speaks most for {}", named.collect::<Vec<_>>().join(", "));
        self.cell_classes = Some(kept);
        Some(text)
    }
}

fn most(analysis: &Analysis, (row, column): (usize, usize)) -> Option<Vec<(ClassId, f32)>> {
    let logits = analysis.cell_logits(row, column)?;
    let mut classes: Vec<(ClassId, f32)> = ClassId::all(logits.len()).zip(logits).collect();
    let count = NAMED.min(classes.len());
    classes.select_nth_unstable_by(count - 1, |a, b| b.1.total_cmp(&a.1));
    classes.truncate(count);
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    Some(classes)
}

/// The text of a pane for the position under the probe: values for an overlay; also the classes for
/// the photo or a single overlay.
pub fn pane_label(
    (painter, picture): (&Painter, Rect),
    (state, textures): (&State, &Textures),
    probe: &mut PointerProbe,
    shown: &Answer,
    side: Option<Side>,
) {
    let Some(at) = probe.at else {
        return;
    };
    let alone = state.settings.view.sides().len() == 1;
    let interpolation = state.settings.display_options.interpolation;
    let mut lines = Vec::new();
    if let Some(heat) = side.and_then(|side| textures.kept(side)) {
        lines.extend(value_text(shown, at, heat, interpolation));
    }
    if (side.is_none() || alone)
        && let Some(classes) = probe.classes_text(shown, at)
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

/// Moves the probe with the arrow keys by one cell of the last layer, in the focused pane.
pub fn arrows(ui: &Ui, probe: &mut PointerProbe, shown: &Answer) {
    let grid = shown.analysis.grid();
    let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let step = |less: Key, more: Key| i32::from(pressed(more)) - i32::from(pressed(less));
    let across = step(Key::ArrowLeft, Key::ArrowRight);
    let down = step(Key::ArrowUp, Key::ArrowDown);
    if across == 0 && down == 0 {
        return;
    }
    let middle = (grid.rows / 2, grid.columns / 2);
    let cell = match probe.by_key {
        None => middle,
        Some(at) => {
            let (row, column) = cell_under(shown, at, grid).unwrap_or(middle);
            let moved = |at: usize, by: i32, count: usize| {
                at.saturating_add_signed(by as isize).min(count - 1)
            };
            (
                moved(row, down, grid.rows),
                moved(column, across, grid.columns),
            )
        }
    };
    let center = (cell.1 as f64 + 0.5, cell.0 as f64 + 0.5);
    let (x, y) = shown.analysis.placement.photo_from_cells(center, grid);
    #[allow(clippy::cast_possible_truncation)] // screen precision
    let share = |at: f64, side: usize| (at / side as f64) as f32;
    probe.by_key = Some(pos2(
        share(x, shown.photo.width),
        share(y, shown.photo.height),
    ));
}
