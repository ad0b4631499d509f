//! Layout: panes have bounded sizes, and text stays within its place.

use super::*;
use crate::explain::cam;
use crate::explain::cam::Method;
use crate::explain::region::{Region, Shape};
use crate::input::framing::Framing;
use crate::labels::{ClassId, Labels};
use crate::model::ModelChoice;
use crate::model::device::DeviceChoice;
use crate::render::heatmap::Scaling;
use crate::render::rendered_map::Rendering;

#[test]
fn names_can_hold_anything() {
    let mut svg =
        String::from("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"90\" height=\"30\">");
    let name = "a<b & \"c\" \u{1b}\u{0}\u{ffff}\u{fffe}猫.png";
    svg::text(&mut svg, (2.0, 20.0), "", name);
    svg::begin(
        &mut svg,
        Layout::new((1, 1), 0).photo,
        "cat\u{202e}\u{1b}\n<a",
    );
    svg::end(&mut svg);
    let title = "<title>cat\\u202e\\u001b\\n&lt;a</title>";
    assert!(svg.contains(title), "{svg}");
    svg.push_str("</svg>");
    let png = draw(&svg, &Fonts::for_text(name)).unwrap();
    let drawn = image::load_from_memory(&png).unwrap();
    assert_eq!((drawn.width(), drawn.height()), (180, 60));
    assert!(
        drawn.to_rgba8().pixels().any(|pixel| pixel[3] > 0),
        "something is drawn"
    );
}

#[test]
fn a_pane_is_bounded_whatever_the_photos_proportions() {
    for (size, pane, photo) in [
        ((451, 300), 266.0, (400.0, 266.0)),
        ((1, 20_000), 1200.0, (4.0, 1200.0)),
        ((20_000, 1), 133.3, (400.0, 4.0)),
        ((1000, 6000), 1200.0, (200.0, 1200.0)),
        ((1, 1), 400.0, (400.0, 400.0)),
    ] {
        let layout = Layout::new(size, 2);
        assert!((layout.pane.1 - pane).abs() < 0.1, "{size:?}");
        assert!((layout.photo.width - photo.0).abs() < 0.1, "{size:?}");
        assert!((layout.photo.height - photo.1).abs() < 0.1, "{size:?}");
        assert_eq!(layout.distorted, photo.0.min(photo.1) < 5.0, "{size:?}");
    }
}

#[test]
fn a_figure_of_many_parts_is_drawn_smaller() {
    assert!((zoom(1400.0, 1500.0) - ZOOM).abs() < 1e-9);
    let (width, height) = (16_000.0, 9_000.0);
    let reduced = zoom(width, height);
    assert!(reduced * reduced * width * height <= 1.001 * MOST_PIXELS);
}

/// A figure of two maps, of a class and of the difference of two classes, with the given names.
fn figure_of(names: [&str; 2]) -> Figure {
    let photo = Photo::open("assets/samples/cat.png".as_ref()).unwrap();
    let mut engine =
        crate::explain::engine::Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    let mut analysis = engine.analyze(&photo, Framing::Whole).unwrap();
    let classes: Vec<ClassId> = ClassId::all(2).collect();
    let mut model = (*analysis.model).clone();
    let all = (0..1000).map(|class| match names.get(class) {
        Some(name) => (*name).to_owned(),
        None => format!("class {class}"),
    });
    model.labels = Labels::new(all.collect());
    analysis.model = Arc::new(model);
    let make =
        |class: &ClassId| cam::explain(Method::GradCam, &analysis.layer_gradients(*class).unwrap());
    let (one, other) = (make(&classes[0]), make(&classes[1]));
    let how = Rendering {
        scaling: Scaling::Signed,
        range: None,
        display_options: &crate::render::display_options::DisplayOptions::default(),
        placement: &analysis.placement,
        grid: analysis.placement.photo,
    };
    let pane = |map: cam::Map, class: usize, contrast_class| MapView {
        rendered: RenderedMap::new(map, &how),
        class: classes[class],
        contrast_class,
    };
    let panes = vec![
        pane(one.clone(), 0, None),
        pane(other.clone(), 1, None),
        pane(one.minus(&other), 0, Some(classes[1])),
    ];
    Figure::new(&ExportScene {
        photo: Arc::new(photo),
        analysis: Arc::new(analysis),
        model: ModelChoice::BuiltIn,
        labels: None,
        panes,
        display_options: crate::render::display_options::DisplayOptions::default(),
        regions: vec![Region {
            name: names[0].into(),
            shape: Shape::Rectangle([-500.0, -500.0, 9000.0, 200.0]),
        }],
    })
    .unwrap()
}

/// Every text of a figure, with where it begins and ends, measured in the drawn figure.
fn texts(figure: &Figure) -> Vec<(String, f64, f64)> {
    fn im2col(group: &usvg::Group, found: &mut Vec<(String, f64, f64)>) {
        for node in group.children() {
            match node {
                usvg::Node::Group(group) => im2col(group, found),
                usvg::Node::Text(text) => {
                    let words = text.chunks().iter().map(usvg::TextChunk::text);
                    let (left, width) = {
                        let area = text.abs_bounding_box();
                        (f64::from(area.left()), f64::from(area.width()))
                    };
                    found.push((words.collect(), left, left + width));
                }
                _ => {}
            }
        }
    }
    let tree = usvg::Tree::from_str(&figure.svg, figure.fonts.options()).unwrap();
    let mut found = Vec::new();
    im2col(tree.root(), &mut found);
    found
}

#[test]
fn long_names_stay_in_their_pane_and_can_be_told_apart() {
    let capitals = "MELANOMA WITH MANY WORDS IN CAPITALS, ".repeat(4);
    let chinese = "恶性黑色素瘤".repeat(20);
    for name in [capitals, chinese] {
        let names = [format!("{name} grade 1"), format!("{name} grade 2")];
        let figure = figure_of([&names[0], &names[1]]);
        let texts = texts(&figure);
        let titles: Vec<_> = texts
            .iter()
            .filter(|(words, ..)| words.starts_with("Grad-CAM ·"))
            .collect();
        assert_eq!(titles.len(), 3);
        for (index, (words, left, right)) in titles.iter().enumerate() {
            let pane = 2.0 * MARGIN + PANE + index as f64 * (MARGIN + PANE + BAR);
            assert!((left - pane).abs() < 3.0, "{words} begins at {left}");
            assert!(right - pane <= PANE + BAR + 1.0, "{words} ends at {right}");
            assert!(
                right - pane > 0.85 * (PANE + BAR),
                "{words} is cut too short"
            );
        }
        assert_ne!(titles[0].0, titles[1].0, "classes can be told apart");
        for (grade, (words, ..)) in ["grade 1 (0)", "grade 2 (1)"].iter().zip(&titles) {
            assert!(words.contains(grade), "{words}");
            assert!(
                titles[2].0.contains(&grade[grade.len() - 7..]),
                "{}",
                titles[2].0
            );
        }
        let width = 2.0 * MARGIN + PANE + 3.0 * (MARGIN + PANE + BAR);
        for (words, _, right) in &texts {
            assert!(*right <= width, "{words} ends at {right}");
        }
        assert!(
            figure.svg.contains(&format!("Grad-CAM · {} ", names[0])),
            "whole"
        );
    }
    let short = figure_of(["nevus, benign", "nevus, atypical"]);
    let words: Vec<String> = texts(&short).into_iter().map(|text| text.0).collect();
    let difference = "Grad-CAM · nevus, benign − nevus, atypical";
    assert!(words.iter().any(|words| words == difference), "{words:?}");
}
