//! Applies actions to the state: every change that the user makes is made here.

use crate::app::state::State;
use crate::app::state::action::Action;
use crate::app::state::command::Command;
use crate::app::state::dialogs::Dialog;
use crate::render::display_options::DisplayOptions;

impl State {
    /// Applies an action. Returns the command that must be run outside the state as a result.
    #[allow(clippy::too_many_lines)] // one arm per action
    #[must_use]
    pub fn apply(&mut self, action: Action) -> Option<Command> {
        match action {
            Action::ShowPhoto(id) => self.show(id),
            Action::StepPhoto(by) => self.step_photo(by),
            Action::SortPhotos(order) => self.sort_photos(order),
            Action::FilterPhotos(class) => self.filter = class,
            Action::StopPredictions => {
                self.batch.stop();
                return Some(Command::CancelPredictions);
            }
            Action::ResumePredictions => self.batch.resume(),
            Action::SetWindow { photo, window } => self.set_window(photo, window),
            Action::SetLimits(limits) => self.limit_photos(limits),
            Action::ChooseClass(class) => self.choose_class(class),
            Action::StepClass(by) => self.step_class(by),
            Action::ExplainTop => self.explain_top(),
            Action::ExplainTopIn(side) => self.explain_top_in(side),
            Action::KeepClass(keep) => self.keep_class(keep),
            Action::SetContrastClass(class) => self.contrast_class = class,
            Action::SetSearch(text) => self.search = text,
            Action::SetTool(tool) => self.tool = tool,
            Action::AddRegion { photo, shape } => self.regions.add(photo, shape),
            Action::SetRegion {
                photo,
                index,
                region,
            } => {
                self.regions.replace(photo, index, region);
            }
            Action::RemoveRegion { photo, index } => self.regions.remove(photo, index),
            Action::PinClass(side, class) => self.pinned[side.index()] = class,
            Action::SwapPanes => {
                self.settings.panes.swap(0, 1);
                self.pinned.swap(0, 1);
            }
            Action::ToggleRangeLock {
                map,
                scaling,
                range,
            } => {
                if let Some(shown) = self.latest.shown() {
                    self.range_locks
                        .toggle(&shown.analysis, map, scaling, range);
                }
            }
            Action::ShowDialog(dialog, open) => {
                self.dialogs.set(dialog, open);
                let weights = dialog == Dialog::Weights && open;
                return weights.then_some(Command::FindDownloads);
            }
            Action::Dismiss => self.dismiss(),
            Action::Run(command) => return Some(command),
            Action::UseModel(choice) => self.use_model(choice),
            Action::UseLabels(file) => self.use_labels(file),
            Action::UseTutorialSettings => self.as_in_the_tutorial(),
            Action::StepLayer(by) => self.step_layer(by),
            Action::SetDevice(device) => self.settings.device = device,
            Action::SetFraming(framing) => self.settings.framing = framing,
            Action::SetPreprocess(choice) => self.settings.preprocess = choice,
            Action::SetScores(choice) => self.settings.scores = choice,
            Action::SetLayer(layer) => self.settings.layer = layer,
            Action::SetVariant(variant) => self.settings.variant = variant,
            Action::SetView(view) => self.settings.view = view,
            Action::SetPaneMethod(side, method) => {
                self.settings.panes[side.index()].method = method;
            }
            Action::SetPaneLayer(side, layer) => self.settings.panes[side.index()].layer = layer,
            Action::SetOrder(order) => self.settings.order = order,
            Action::SetOpacity(opacity) => self.settings.display_options.opacity = opacity,
            Action::SetColormap(colormap) => self.settings.display_options.colormap = colormap,
            Action::SetDivergingColormap(colormap) => {
                self.settings.display_options.diverging = colormap;
            }
            Action::SetScaling(scaling) => self.settings.display_options.scaling = scaling,
            Action::SetInterpolation(interpolation) => {
                self.settings.display_options.interpolation = interpolation;
            }
            Action::SetThreshold(percent) => {
                self.settings.display_options.threshold = percent.min(DisplayOptions::MOST_HIDDEN);
            }
            Action::ShowContours(shown) => self.settings.display_options.contours = shown,
            Action::ShowGrid(shown) => self.settings.display_options.grid = shown,
            Action::SetDisplay(display) => self.settings.display_options.display = display,
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::state::settings::{Side, View};
    use crate::explain::region::{Region, Shape};

    fn done(state: &mut State, action: Action) {
        let what = format!("{action:?}");
        let follows = state.apply(action);
        assert!(follows.is_none(), "{what} is followed by {follows:?}");
    }

    #[test]
    fn actions_change_settings() {
        let mut state = State::default();
        done(&mut state, Action::SetThreshold(200));
        done(&mut state, Action::SetView(View::Single(Side::Right)));
        done(&mut state, Action::ShowGrid(true));
        let settings = &state.settings;
        assert_eq!(
            settings.display_options.threshold,
            DisplayOptions::MOST_HIDDEN
        );
        assert_eq!(settings.view, View::Single(Side::Right));
        assert!(settings.display_options.grid && !settings.display_options.contours);
        let [left, right] = settings.panes.clone();
        done(&mut state, Action::SwapPanes);
        assert_eq!(state.settings.panes, [right, left]);
    }

    #[test]
    fn regions_are_changed_by_their_place() {
        let shape = Shape::Rectangle([0.0, 0.0, 5.0, 5.0]);
        let mut state = State::default();
        for _ in 0..2 {
            let shape = shape.clone();
            done(&mut state, Action::AddRegion { photo: 7, shape });
        }
        let region = Region {
            name: "eye".into(),
            shape,
        };
        let (photo, index) = (7, 1);
        done(
            &mut state,
            Action::SetRegion {
                photo,
                index,
                region,
            },
        );
        done(&mut state, Action::RemoveRegion { photo, index: 9 });
        done(&mut state, Action::RemoveRegion { photo, index: 0 });
        let names = state.regions.of(Some(7)).iter().map(|region| &*region.name);
        assert_eq!(names.collect::<Vec<_>>(), ["eye"]);
    }

    #[test]
    fn what_reaches_outside_is_given_back() {
        let mut state = State::default();
        let shown = state.apply(Action::ShowDialog(Dialog::Weights, true));
        assert!(matches!(shown, Some(Command::FindDownloads)));
        assert!(state.dialogs.weights);
        done(&mut state, Action::ShowDialog(Dialog::Weights, false));
        let stopped = state.apply(Action::StopPredictions);
        assert!(matches!(stopped, Some(Command::CancelPredictions)));
        assert!(state.batch.is_stopped());
        let run = state.apply(Command::Fit.into());
        assert!(matches!(run, Some(Command::Fit)));
    }
}
