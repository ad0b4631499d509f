//! Draws the parts of the window in order. A new panel is called here.

use std::time::Instant;

use eframe::egui::{CentralPanel, Context, Ui};

use crate::app::background::class_correlations::ClassCorrelations;
use crate::app::display_server::Server;
use crate::app::input::keys;
use crate::app::pane::pane_view::PaneView;
use crate::app::pane::panes;
use crate::app::panels::browser::BrowserView;
use crate::app::panels::controls::Offers;
use crate::app::panels::network_input_window::InputTexture;
use crate::app::panels::{
    browser, controls, network_input_window, region_panel, start_screen, status, toolbar,
    weights_window,
};
use crate::app::state::State;
use crate::app::state::action::Actions;
use crate::app::textures::{Place, Textures};
use crate::labels::ClassId;

/// Everything that is needed only for drawing: textures, and the view of each part of the window
/// (zoom, scrolling). It never changes what is computed.
#[derive(Default)]
pub struct Painting {
    /// The textures on the graphics card.
    pub textures: Textures,
    /// How much the maps depend on their class.
    pub correlations: ClassCorrelations,
    /// The view of the panes.
    pub panes: PaneView,
    /// The view of the browser.
    pub browser: BrowserView,
    /// The class that the class table last scrolled to.
    pub listed: Option<ClassId>,
    /// The network's input, while it is shown.
    pub input: Option<InputTexture>,
    /// The current title of the window.
    pub title: String,
    /// When the frame began.
    pub frame_began: Option<Instant>,
}

impl Painting {
    /// Draws everything. The state is not changed: changes are pushed as actions.
    pub fn draw(
        &mut self,
        ui: &mut Ui,
        state: &State,
        (offers, server): (&Offers, Server),
        actions: &mut Actions,
    ) {
        let ctx = &ui.ctx().clone();
        let zoom_is_linked = self.panes.cameras.are_linked();
        self.make_maps(ctx, state);
        toolbar::show(ui, state, zoom_is_linked, actions);
        let table = (&mut self.textures, &mut self.listed);
        controls::show(ui, state, offers, table, actions);
        browser::show(ui, state, &self.textures, &mut self.browser, actions);
        let under_pointer = (&self.textures, &mut self.panes.probe);
        status::show(ui, state, under_pointer, actions);
        region_panel::show(ui, state, &self.textures, actions);
        CentralPanel::default().show(ui, |ui| {
            if state.latest.shown().is_some() {
                let maps = (&mut self.textures, &mut self.correlations);
                panes::panes_ui(ui, state, &mut self.panes, maps, actions);
            } else {
                start_screen::start_screen_ui(ui, (&self.textures, server), actions);
            }
        });
        keys::help_ui(ctx, state, actions);
        weights_window::show(ctx, state.dialogs.weights, offers.downloads, actions);
        network_input_window::show(ctx, state, &mut self.input, actions);
        start_screen::drop_hint(ctx);
    }

    /// Pushes the actions of the keys that were pressed.
    pub fn take_keys(&self, ctx: &Context, state: &State, actions: &mut Actions) {
        let now = keys::Now {
            state,
            zoom_is_linked: self.panes.cameras.are_linked(),
        };
        keys::handle(ctx, &now, actions);
    }

    /// Makes the available maps of the panes before anything is drawn: the status line, the
    /// regions and the titles of the panes depend on them.
    fn make_maps(&mut self, ctx: &Context, state: &State) {
        let Some(shown) = state.latest.shown() else {
            return;
        };
        for &side in state.settings.view.sides() {
            let map_spec = state.map_spec(side, &shown.analysis);
            let place = Place::Pane(side);
            self.textures.heat(ctx, state, shown, place, map_spec);
        }
    }
}
