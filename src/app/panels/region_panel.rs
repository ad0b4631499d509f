//! The regions of the photo on screen, and their measures in each map.

use eframe::egui;
use eframe::egui::{DragValue, Grid, Panel, RichText, ScrollArea, TextEdit, Ui, WidgetInfo};

use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::settings::Side;
use crate::app::textures::Textures;
use crate::explain::region::{LONGEST_NAME, Measure, Region, Shape};
use crate::render::legend::number;
use crate::worker::Answer;

/// Enough for three regions; more regions scroll.
const HEIGHT: f32 = 120.0;

/// Draws the table if the photo has regions.
pub fn show(ui: &mut Ui, state: &State, textures: &Textures, actions: &mut Actions) {
    let Some(shown) = state.latest.shown() else {
        return;
    };
    let Some(photo) = shown.plan.photo else {
        return;
    };
    let regions = state.regions.of(Some(photo));
    if regions.is_empty() {
        return;
    }
    Panel::bottom("regions").show(ui, |ui| {
        ScrollArea::both()
            .id_salt("regions")
            .auto_shrink([false, true])
            .max_height(HEIGHT)
            .show(ui, |ui| {
                let sides = state.settings.view.sides();
                Grid::new("regions")
                    .striped(true)
                    .spacing([12.0, 2.0])
                    .show(ui, |ui| {
                        heading_ui(ui, textures, sides);
                        for (index, region) in regions.iter().enumerate() {
                            let mut edited = region.clone();
                            if row_ui(ui, textures, (shown, sides), &mut edited) {
                                actions.set(region, edited, |region| Action::SetRegion {
                                    photo,
                                    index,
                                    region,
                                });
                            } else {
                                actions.push(Action::RemoveRegion { photo, index });
                            }
                        }
                    });
            });
    });
}

fn heading_ui(ui: &mut Ui, textures: &Textures, sides: &[Side]) {
    let small = |text: &str| RichText::new(text).small().strong();
    ui.label("");
    ui.label(small("Region"));
    ui.label(small("Pixels"));
    for side in sides {
        if let Some(heat) = textures.kept(*side) {
            let method = heat.map.recipe.method.name();
            let unit = heat.map.unit();
            ui.label(small(&format!("{method}: sum ({unit})")))
                .on_hover_text("Each cell counts with the share of its area that is inside. Regions that tile the photo add up to the sum of all cells");
            ui.label(small("of all"))
                .on_hover_text("The sum, of the sum of all cells");
            ui.label(small("of the positive")).on_hover_text(
                "The positive evidence inside, of all positive evidence (Wang et al. 2020)",
            );
            ui.label(small("peak"))
                .on_hover_text("Whether the largest cell's center is inside: the pointing game (Zhang et al. 2016)");
        }
    }
    ui.end_row();
}

/// One region; returns whether it is kept.
fn row_ui(
    ui: &mut Ui,
    textures: &Textures,
    (shown, sides): (&Answer, &[Side]),
    region: &mut Region,
) -> bool {
    let name = region.name.clone();
    let delete = ui.small_button("×");
    delete.widget_info(|| {
        WidgetInfo::labeled(egui::Role::Button, true, format!("Delete region {name}"))
    });
    let delete = delete.on_hover_text("Delete this region");
    let field = ui.add(
        TextEdit::singleline(&mut region.name)
            .char_limit(LONGEST_NAME)
            .desired_width(110.0),
    );
    field.widget_info(|| {
        WidgetInfo::labeled(
            egui::Role::TextInput,
            true,
            format!("Name of region {name}"),
        )
    });
    ui.horizontal(|ui| pixels_ui(ui, shown, region));
    for side in sides {
        if let Some(heat) = textures.kept(*side) {
            let placement = &shown.analysis.placement;
            measure_ui(ui, &region.shape.measure(&heat.map, placement));
        }
    }
    ui.end_row();
    !delete.clicked()
}

/// The edges of a rectangle can be edited; a lasso only shows its area.
fn pixels_ui(ui: &mut Ui, shown: &Answer, region: &mut Region) {
    let name = &region.name;
    match &mut region.shape {
        Shape::Rectangle(edges) => {
            let (width, height) = (shown.photo.width as f64, shown.photo.height as f64);
            let [left, top, right, bottom] = *edges;
            let limits = [
                ("left", 0.0..=right - 1.0),
                ("top", 0.0..=bottom - 1.0),
                ("right", left + 1.0..=width),
                ("bottom", top + 1.0..=height),
            ];
            for (edge, (what, range)) in edges.iter_mut().zip(limits) {
                let field = ui.add(DragValue::new(edge).range(range).speed(1.0).max_decimals(0));
                let label = format!("{what} of region {name}");
                field.widget_info(|| WidgetInfo::labeled(egui::Role::SpinButton, true, &label));
                field.on_hover_text(what);
            }
        }
        Shape::Lasso(corners) => {
            let corners = corners.len();
            let area = region.shape.area();
            ui.label(format!("{area:.0} px²"))
                .on_hover_text(format!("A lasso of {corners} corners"));
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // to be read
fn measure_ui(ui: &mut Ui, measure: &Measure) {
    let percent = |share: Option<f64>| {
        let text = share.map(|share| format!("{:.1} %", 100.0 * share));
        text.map_or("–".to_owned(), |text| text.replace('-', "−"))
    };
    ui.label(number(measure.sum as f32, true));
    ui.label(percent(measure.share));
    ui.label(percent(measure.positive_share));
    ui.label(match measure.peak_inside {
        Some(true) => "inside",
        Some(false) => "outside",
        None => "–",
    });
}
