//! What a map shows: method, layer, class and contrast class.

use serde::{Deserialize, Serialize};

use crate::explain::cam::Recipe;
use crate::labels::ClassId;
use crate::model::target_layer::LayerId;

/// What a map pane shows of an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapSpec {
    /// The method and its variant.
    pub recipe: Recipe,
    /// The layer.
    pub layer: LayerId,
    /// The class.
    pub class: ClassId,
    /// The contrast class: its map is subtracted.
    pub contrast_class: Option<ClassId>,
}
