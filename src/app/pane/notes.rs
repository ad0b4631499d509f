//! Notes in the corner of a pane that are needed to interpret a map: how much it depends on the
//! class, and warnings. Each has an explanation of one sentence.

use eframe::egui::text::{LayoutJob, TextWrapping};
use eframe::egui::{
    Align2, Color32, CursorIcon, FontId, Painter, Rect, Response, Role, Sense, Stroke, StrokeKind,
    Ui, Vec2, WidgetInfo, pos2, vec2,
};

use crate::app::elide;
use crate::app::pane::color_bar::WIDE;
use crate::app::state::settings::Side;
use crate::explain::analysis::Analysis;
use crate::explain::cam::{FLAT, Map};
use crate::explain::class_correlation::ClassCorrelation;
use crate::labels::ClassId;
use crate::model::Scores;
use crate::render::legend;
use crate::render::legend::percent;

/// If the top class has a lower probability than this, the answer is called uncertain. If ten
/// classes share the rest evenly, none is far behind.
pub const UNSURE: f32 = 0.3;
/// Minimum size of a pane with this number.
const ROOM: Vec2 = vec2(80.0, 50.0);
const FONT: FontId = FontId::proportional(10.0);
const LINE: f32 = 17.0;
const GAUGE: Vec2 = vec2(44.0, 5.0);
const WARN: Color32 = Color32::from_rgb(255, 190, 60);

/// If the explained class has less than this share of the top class's probability, it is called
/// improbable. Of several labels at once, it is one with less than this probability.
pub const IMPROBABLE: f32 = 0.05;

/// A note: a few words, and a sentence that is shown on request.
pub struct Note {
    /// The words.
    pub words: String,
    /// The words for a number of letters per name, if they contain names.
    pub shorter: Option<Box<dyn Fn(usize) -> String>>,
    /// The words for a small pane.
    pub short: &'static str,
    /// The explanation.
    pub sentence: String,
    /// Whether a click explains the most probable class instead.
    pub leads_to_top: bool,
}

/// If no label of several has at least this probability, that is said.
pub const FOUND: f32 = 0.5;

/// The notes for a map.
#[must_use]
pub fn notes(
    analysis: &Analysis,
    map: &Map,
    class: ClassId,
    contrast_class: Option<ClassId>,
) -> Vec<Note> {
    let mut notes = Vec::new();
    notes.extend(improbable(analysis, class));
    notes.extend(unsure(analysis));
    if let Some(sentence) = legend::instability(map) {
        notes.push(Note {
            words: "unstable".into(),
            shorter: None,
            short: "unstable",
            leads_to_top: false,
            sentence,
        });
    }
    if contrast_class.is_none() && map.is_nearly_flat() {
        notes.push(Note {
            words: "nearly flat".into(),
            shorter: None,
            short: "nearly flat",
            leads_to_top: false,
            sentence: format!(
                "The smallest cell has {:.0} % of the largest (a map is called nearly flat from {:.0} %): the colors exaggerate small differences.",
                100.0 * map.min() / map.max(),
                100.0 * FLAT
            ),
        });
    }
    notes
}

/// A note if the most probable class has a low probability.
fn unsure(analysis: &Analysis) -> Option<Note> {
    let top = analysis.top();
    let probability = analysis.probability(top);
    let (name, number) = (analysis.model.labels.name(top), percent(probability));
    let (words, sentence) = match analysis.scores {
        Scores::Softmax if probability < UNSURE => (
            "low confidence",
            format!(
                "The network is uncertain: its most probable class, {name}, has only {number}. The map still explains that class."
            ),
        ),
        Scores::Sigmoid if probability < FOUND => (
            "no label found",
            format!(
                "No label reaches {:.0} %: the most probable one, {name}, has {number}. The map still explains it.",
                100.0 * FOUND
            ),
        ),
        _ => return None,
    };
    Some(Note {
        words: words.into(),
        shorter: None,
        short: words,
        leads_to_top: false,
        sentence,
    })
}

/// A note for a map of an improbable class, with a link to the most probable class.
#[must_use]
pub fn improbable(analysis: &Analysis, class: ClassId) -> Option<Note> {
    let top = analysis.top();
    let [here, best] = [class, top].map(|class| analysis.probability(class));
    // Labels that don't exclude each other are not compared.
    let limit = match analysis.scores {
        Scores::Sigmoid => IMPROBABLE,
        Scores::Softmax | Scores::OneLogit => IMPROBABLE * best,
    };
    if here >= limit || class == top {
        return None;
    }
    let model = analysis.model.clone();
    let [here, best] = [here, best].map(percent);
    let words = {
        let (here, best) = (here.clone(), best.clone());
        move |letters| {
            let [name, top] = [class, top].map(|class| model.labels.shortened(class, letters));
            format!("{name}: {here} here · show {top} {best}")
        }
    };
    let [name, top] = [class, top].map(|class| analysis.model.labels.name(class));
    Some(Note {
        words: words(usize::MAX),
        shorter: Some(Box::new(words)),
        short: "improbable class",
        sentence: format!(
            "The network gives {name} {here} on this photo; its most probable class is {top}, {best}. The map still explains {name}. Click to explain {top} instead."
        ),
        leads_to_top: true,
    })
}

/// The explanation of the number.
#[must_use]
pub fn explain(found: ClassCorrelation) -> String {
    let ClassCorrelation {
        correlation,
        classes,
    } = found;
    let verdict = if found.is_insensitive() {
        "Class-insensitive: the map would look nearly the same for almost any class. It shows where the network looks, not why it chose this class."
    } else {
        "1 means the same map for every class, 0 a map specific to this class."
    };
    let compared = if classes == 1 {
        "Correlation with the map of the other class".to_owned()
    } else {
        format!("Mean correlation with the maps of {classes} other classes")
    };
    format!("{compared}: {correlation:.2}. {verdict}")
}

/// Draws the number and the notes in the lower left corner of a pane. Returns true if the user
/// wants the most probable class explained instead.
pub fn pane_notes_ui(
    ui: &mut Ui,
    painter: &Painter,
    pane: Rect,
    side: Side,
    (meter, notes): (Option<ClassCorrelation>, &[Note]),
) -> bool {
    if pane.width() < ROOM.x || pane.height() < ROOM.y {
        return false;
    }
    // In a narrow pane they start at the top, because the color bar is at the bottom.
    let wide = pane.width() >= WIDE;
    let (mut line, align, step) = if wide {
        (pane.bottom() - 8.0, Align2::LEFT_BOTTOM, -1.0)
    } else {
        (pane.top() + 4.0, Align2::LEFT_TOP, 1.0)
    };
    let mut place = |size: Vec2| {
        let corner = pos2(pane.left() + 8.0, line);
        line += step * (size.y + 2.0);
        align.anchor_size(corner, size)
    };
    if let Some(found) = meter {
        let insensitive = found.is_insensitive();
        let words = if insensitive {
            "class-insensitive"
        } else {
            "other classes"
        };
        let color = if insensitive { WARN } else { Color32::WHITE };
        let number = format!("{:.2}", found.correlation).replace('-', "−");
        let text = if wide {
            format!("{words} {number}")
        } else {
            number
        };
        let galley = painter.layout_no_wrap(text, FONT, color);
        let area = place(galley.size() + vec2(GAUGE.x + 18.0, 4.0));
        painter.rect_filled(area, 3.0, Color32::from_black_alpha(170));
        let gauge = Align2::LEFT_CENTER.anchor_size(area.left_center() + vec2(6.0, 0.0), GAUGE);
        painter.rect_filled(gauge, 1.0, Color32::from_gray(90));
        let share = found.correlation.clamp(0.0, 1.0);
        let filled = gauge.with_max_x(gauge.left() + share * gauge.width());
        painter.rect_filled(filled, 1.0, color);
        painter.galley(gauge.right_top() + vec2(6.0, -4.0), galley, color);
        let name = format!("How much the {} map depends on its class", side.name());
        let meter = ui.interact(area, ui.scope_id().with((side, "meter")), Sense::hover());
        say(meter, Role::Label, &name, &explain(found));
    }
    let mut to_top = false;
    for note in notes {
        let room = pane.width() - 30.0;
        let words = match &note.shorter {
            Some(shorter) if wide => elide::longest(painter, &FONT, room, shorter),
            None if wide => note.words.clone(),
            _ => note.short.to_owned(),
        };
        let mut job = LayoutJob::simple_singleline(words, FONT, WARN);
        job.wrap = TextWrapping::truncate_at_width(room);
        let galley = painter.layout_job(job);
        let area = place(vec2(galley.size().x + 12.0, LINE));
        painter.rect_filled(area, 3.0, Color32::from_black_alpha(170));
        painter.galley(area.min + vec2(6.0, 2.5), galley, WARN);
        let name = format!("{} ({} map)", note.words, side.name());
        let (sense, role) = if note.leads_to_top {
            (Sense::click(), Role::Button)
        } else {
            (Sense::hover(), Role::Label)
        };
        let mut remark = ui.interact(area, ui.scope_id().with((side, note.short)), sense);
        if note.leads_to_top {
            let edge = Stroke::new(if remark.hovered() { 2.0 } else { 1.0 }, WARN);
            painter.rect_stroke(area, 3.0, edge, StrokeKind::Inside);
            remark = remark.on_hover_cursor(CursorIcon::PointingHand);
            to_top |= remark.clicked();
        }
        say(remark, role, &name, &note.sentence);
    }
    to_top
}

fn say(response: Response, role: Role, name: &str, sentence: &str) {
    response.widget_info(|| WidgetInfo::labeled(role, true, format!("{name}: {sentence}")));
    response.on_hover_ui(|ui| {
        ui.set_max_width(320.0);
        ui.label(sentence);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::engine::Engine;
    use crate::input::framing::Framing;
    use crate::input::photo::Photo;
    use crate::model::ModelChoice;
    use crate::model::device::DeviceChoice;

    /// Scores decide what is said about the probability of a class.
    #[test]
    fn probabilities_are_judged_by_their_scores() {
        let cat = Photo::open("assets/samples/cat.png".as_ref()).unwrap();
        let mut engine = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
        let mut analysis = engine.analyze(&cat, Framing::Whole).unwrap();
        let [top, other] = [0, 1].map(|place| analysis.ranking[place]);
        let mut said = |scores, probabilities: [f32; 2]| {
            analysis.scores = scores;
            analysis.probabilities = vec![0.0; 1000];
            for (class, probability) in [top, other].into_iter().zip(probabilities) {
                analysis.probabilities[class.index()] = probability;
            }
            let low = improbable(&analysis, other).is_some();
            (unsure(&analysis).map(|note| note.short), low)
        };
        for (scores, probabilities, expected) in [
            (Scores::Softmax, [0.2, 0.1], (Some("low confidence"), false)),
            (Scores::Softmax, [0.9, 0.01], (None, true)),
            (Scores::Sigmoid, [0.6, 0.03], (None, true)),
            (Scores::Sigmoid, [0.4, 0.1], (Some("no label found"), false)),
            (
                Scores::Sigmoid,
                [0.001, 0.0],
                (Some("no label found"), true),
            ),
            (Scores::OneLogit, [0.55, 0.45], (None, false)),
        ] {
            assert_eq!(said(scores, probabilities), expected, "{probabilities:?}");
        }
    }

    #[test]
    fn the_meter_says_what_it_means() {
        let at = |correlation| {
            explain(ClassCorrelation {
                correlation,
                classes: 50,
            })
        };
        assert!(at(0.89).contains("50 other classes: 0.89. Class-insensitive"));
        assert!(at(0.15).contains("0.15. 1 means"));
    }
}
