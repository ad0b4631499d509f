//! One place makes every change that the user asks for.

use crate::app::state::State;
use crate::app::state::action::Action;
use crate::app::state::command::Command;
use crate::app::state::dialogs::Dialog;
use crate::render::display_options::DisplayOptions;

impl State {
    /// Makes a change. Gives back what has to be done outside the state because of it.
    #[allow(clippy::too_many_lines)] // an arm for each action
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
