//! The class picker: the top five classes with bars, and all classes in a table.

use eframe::egui;
use eframe::egui::{Align2, RichText, Sense, TextStyle, Ui, WidgetInfo, vec2};
use egui_extras::{Column, TableBuilder};

use crate::app::elide;
use crate::app::state::action::{Action, Actions};
use crate::app::state::settings::ClassOrder;
use crate::app::state::{ClassChoice, State};
use crate::app::widgets::{heading, name_button, name_menu, triangle};
use crate::explain::analysis::Analysis;
use crate::labels::ClassId;
use crate::model::Scores;
use crate::render::legend::percent;
use crate::text::printable;

/// Number of classes shown with bars.
const TOP: usize = 5;
const BAR_HEIGHT: f32 = 22.0;
/// Minimum number of visible rows of the table, even in a small window.
const FEWEST_ROWS: f32 = 5.0;

/// Draws the picker. `listed` is the class that the table last scrolled to.
pub fn class_picker_ui(
    ui: &mut Ui,
    state: &State,
    listed: &mut Option<ClassId>,
    actions: &mut Actions,
) {
    heading(ui, "EXPLAIN");
    let Some(shown) = state.latest.shown() else {
        ui.weak("The classes appear here once a photo is open.");
        return;
    };
    let analysis = &*shown.analysis;
    let chosen = state.class_in(analysis);
    scores_ui(ui, analysis.scores);
    keep_class_ui(ui, state, analysis, actions);
    why_not_ui(ui, state, analysis, actions);
    for &class in analysis.ranking.iter().take(TOP) {
        let bar = bar_ui(ui, analysis, class, class == chosen);
        if bar.clicked() {
            actions.push(Action::ChooseClass(class));
        }
        why_not_menu(&bar, class, actions);
    }
    ui.add_space(6.0);
    let hint = format!("search {} classes", analysis.logits.len());
    let mut search = state.search.clone();
    let field = egui::TextEdit::singleline(&mut search)
        .hint_text(hint)
        .desired_width(f32::INFINITY);
    let field = ui.add(field);
    field.widget_info(|| WidgetInfo::labeled(egui::Role::TextInput, true, "Search classes"));
    actions.set(&state.search, search, Action::SetSearch);
    let scroll = *listed != Some(chosen);
    *listed = Some(chosen);
    table_ui(ui, state, (analysis, chosen), scroll, actions);
}

/// What the numbers mean, unless one class excludes the others, as everyone expects.
fn scores_ui(ui: &mut Ui, scores: Scores) {
    let words = match scores {
        Scores::Softmax => return,
        Scores::Sigmoid => "Several labels: each has its own probability (sigmoid)",
        Scores::OneLogit => "Two classes from one logit (sigmoid)",
    };
    let label = egui::Label::new(RichText::new(words).small()).wrap();
    ui.add(label).on_hover_text(scores.meaning());
}

/// Whether the explained class is kept for the next photos, and a button back to the most probable
/// class.
fn keep_class_ui(ui: &mut Ui, state: &State, analysis: &Analysis, actions: &mut Actions) {
    ui.horizontal_wrapped(|ui| {
        let mut keep = matches!(state.class, ClassChoice::Kept(_));
        let switch = ui.checkbox(&mut keep, "Keep class for next photos");
        let switch = switch.on_hover_text("On: this class is explained on the next photos as well. Off: each photo starts with its most probable class.");
        if switch.changed() {
            actions.push(Action::KeepClass(keep));
        }
        let top = analysis.top();
        if state.class_in(analysis) != top {
            let name = analysis.model.labels.name(top);
            let hint = format!("Explain {name}, {}", percent(analysis.probability(top)));
            let back = ui.small_button("Top class").on_hover_text(hint);
            if back.clicked() {
                actions.push(Action::ExplainTop);
            }
        }
    });
}

/// The class that the maps are compared with.
fn why_not_ui(ui: &mut Ui, state: &State, analysis: &Analysis, actions: &mut Actions) {
    let chosen = state.class_in(analysis);
    let labels = &analysis.model.labels;
    let now = state.contrast_class(analysis, chosen);
    ui.horizontal(|ui| {
        ui.label("Why not");
        let width = ui.available_width();
        let name = now.map_or("–", |class| labels.name(class));
        let short = now.map_or(name.to_owned(), |class| {
            let font = TextStyle::Button.resolve(ui.style());
            let room = elide::room_in_box(ui, width);
            elide::class(ui.painter(), &font, room, (labels, class))
        });
        let menu = egui::ComboBox::from_id_salt("why not")
            .selected_text(short)
            .width(width)
            .truncate()
            .show_ui(ui, |ui| {
                let none = format!("– (the map of {})", labels.name(chosen));
                let mut wanted = state.contrast_class;
                ui.selectable_value(&mut wanted, None, none);
                for class in offered(state, analysis, chosen) {
                    let probability = percent(analysis.probability(class));
                    let text = format!("{} {probability}", labels.name(class));
                    ui.selectable_value(&mut wanted, Some(class), text);
                }
                actions.set(&state.contrast_class, wanted, Action::SetContrastClass);
            });
        name_menu(ui, &menu.response, "Why not this class", name);
        menu.response.on_hover_text(
            "The maps of the chosen class minus those of this one: why the one and not the other. Search below to find more classes, or click a class with the other mouse button",
        );
    });
}

/// The classes offered for comparison: the most probable ones, the search results, and the current
/// choice.
fn offered(state: &State, analysis: &Analysis, chosen: ClassId) -> Vec<ClassId> {
    let mut offered: Vec<ClassId> = analysis.ranking.iter().copied().take(TOP + 1).collect();
    if !state.search.trim().is_empty() {
        offered.extend(state.listed_classes(analysis).into_iter().take(2 * TOP));
    }
    offered.extend(state.contrast_class(analysis, chosen));
    let mut seen = vec![chosen];
    offered.retain(|class| {
        let new = !seen.contains(class);
        seen.push(*class);
        new
    });
    offered
}

/// A secondary click on a class makes it the contrast class.
fn why_not_menu(response: &egui::Response, class: ClassId, actions: &mut Actions) {
    response.context_menu(|ui| {
        if ui.button("Why not this one?").clicked() {
            actions.push(Action::SetContrastClass(Some(class)));
            ui.close();
        }
    });
}

/// One class: its name, its probability, and a bar behind both.
fn bar_ui(ui: &mut Ui, analysis: &Analysis, class: ClassId, chosen: bool) -> egui::Response {
    let labels = &analysis.model.labels;
    let (name, probability) = (labels.name(class), analysis.probability(class));
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), BAR_HEIGHT), Sense::click());
    response.widget_info(|| {
        let label = format!("{name} {}", percent(probability));
        WidgetInfo::selected(egui::Role::RadioButton, true, chosen, label)
    });
    let visuals = ui.style().interact_selectable(&response, chosen);
    let painter = ui.painter();
    let bar = rect.with_max_x(rect.left() + rect.width() * probability);
    let accent = ui.visuals().selection.bg_fill;
    if response.hovered() || response.has_focus() {
        painter.rect_filled(rect, 3.0, ui.visuals().widgets.hovered.weak_bg_fill);
    }
    painter.rect_filled(
        bar,
        3.0,
        accent.gamma_multiply(if chosen { 1.0 } else { 0.45 }),
    );
    if chosen {
        painter.rect_stroke(
            rect,
            3.0,
            egui::Stroke::new(1.0, accent),
            egui::StrokeKind::Inside,
        );
    }
    let color = if chosen {
        ui.visuals().strong_text_color()
    } else {
        visuals.text_color()
    };
    let font = TextStyle::Body.resolve(ui.style());
    let number = painter.text(
        rect.right_center() - vec2(6.0, 0.0),
        Align2::RIGHT_CENTER,
        percent(probability),
        font.clone(),
        color,
    );
    let room = number.left() - rect.left() - 14.0;
    painter.text(
        rect.left_center() + vec2(6.0, 0.0),
        Align2::LEFT_CENTER,
        elide::class(painter, &font, room, (labels, class)),
        font,
        color,
    );
    hover_ui(response, analysis, class)
}

fn hover_ui(response: egui::Response, analysis: &Analysis, class: ClassId) -> egui::Response {
    response.on_hover_ui(|ui| {
        ui.label(printable::quotation(analysis.model.labels.full(class)));
        ui.label(format!("class {class}, logit {:.2}", analysis.logit(class)));
        ui.label(format!(
            "probability {:.4} % ({})",
            100.0 * analysis.probability(class),
            analysis.scores
        ));
    })
}

/// All classes that match the search. A click on the header sorts; a click on a row selects.
fn table_ui(
    ui: &mut Ui,
    state: &State,
    (analysis, chosen): (&Analysis, ClassId),
    scroll: bool,
    actions: &mut Actions,
) {
    let classes = state.listed_classes(analysis);
    if classes.is_empty() {
        ui.weak(format!("No class is called {:?}.", state.search.trim()));
        return;
    }
    let font = TextStyle::Body.resolve(ui.style());
    let row_height = ui.text_style_height(&TextStyle::Body) + 4.0;
    let height = ui.available_height().max((FEWEST_ROWS + 1.0) * row_height);
    let body_height = height - row_height - 2.0 * ui.spacing().item_spacing.y;
    let mut table = TableBuilder::new(ui)
        .id_salt("classes")
        .striped(true)
        .sense(Sense::click())
        .column(Column::remainder().clip(true))
        .column(Column::exact(64.0))
        .auto_shrink(false)
        .min_scrolled_height(body_height)
        .max_scroll_height(body_height);
    let row_of_choice = classes.iter().position(|&class| class == chosen);
    if let Some(row) = row_of_choice.filter(|_| scroll) {
        table = table.scroll_to_row(row, None);
    }
    let order = state.settings.order;
    table
        .header(row_height, |mut header| {
            header.col(|ui| {
                let now = match order {
                    ClassOrder::Name(forward) => Some(forward),
                    ClassOrder::Score(_) => None,
                };
                if sort_button(ui, "Class", now) {
                    actions.push(Action::SetOrder(ClassOrder::Name(now != Some(true))));
                }
            });
            header.col(|ui| {
                let now = match order {
                    ClassOrder::Score(forward) => Some(forward),
                    ClassOrder::Name(_) => None,
                };
                if sort_button(ui, "Score", now) {
                    actions.push(Action::SetOrder(ClassOrder::Score(now != Some(true))));
                }
            });
        })
        .body(|body| {
            body.rows(row_height, classes.len(), |mut row| {
                let class = classes[row.index()];
                row.set_selected(class == chosen);
                row.col(|ui| {
                    let room = ui.available_width();
                    let name = (&analysis.model.labels, class);
                    let name = elide::class(ui.painter(), &font, room, name);
                    ui.add(egui::Label::new(name).selectable(false).truncate());
                });
                row.col(|ui| {
                    ui.add(
                        egui::Label::new(percent(analysis.probability(class))).selectable(false),
                    );
                });
                let response = row.response();
                response.widget_info(|| {
                    let label = format!("class {}", analysis.model.labels.name(class));
                    WidgetInfo::selected(egui::Role::Button, true, class == chosen, label)
                });
                why_not_menu(&response, class, actions);
                if hover_ui(response, analysis, class).clicked() {
                    actions.push(Action::ChooseClass(class));
                }
            });
        });
}

/// The header of a column; `sorted` says whether the table is sorted by it, and whether in its
/// default direction.
fn sort_button(ui: &mut Ui, name: &str, sorted: Option<bool>) -> bool {
    let button = egui::Button::new(RichText::new(name).strong()).frame(false);
    let response = ui.add(button);
    if let Some(forward) = sorted {
        let tip = if forward { 3.0 } else { -3.0 };
        let center = response.rect.right_center() + vec2(8.0, 0.0);
        triangle(
            ui.painter(),
            center,
            vec2(4.0, tip),
            ui.visuals().text_color(),
        );
    }
    name_button(&response, &format!("Sort by {}", name.to_lowercase()));
    response.clicked()
}
