//! Packed weights, shared by the plans of a network for all sizes.

use std::sync::Arc;

use crate::model::cpu::{Grouped, Panels, Size, Winograd};
use crate::model::graph::Constant;

/// Packed weights. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct WeightCache(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    weight: Constant,
    scale: Vec<f32>,
    packing: Packing,
    packed: Packed,
}

/// How a weight is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// `[cout, cin, taps]` for a matrix product.
    Dense {
        /// Input channels.
        cin: usize,
    },
    /// `[cout, cin, 3, 3]`, transformed.
    Winograd(Size),
    /// `[channels, taps]`.
    Depthwise,
    /// `[cout, cin per group, taps]`.
    Grouped {
        /// Input channels per group.
        cin: usize,
        /// Groups.
        groups: usize,
    },
    /// A matrix `[depth, columns]`.
    Matrix,
}

#[derive(Clone, Debug)]
enum Packed {
    Panels(Arc<Panels>),
    Winograd(Arc<Winograd>),
    Depthwise(Arc<Vec<f32>>),
    Grouped(Arc<Grouped>),
}

impl WeightCache {
    /// The weight times `scale` for each output channel, for a matrix product.
    pub fn panels(&mut self, weight: &Constant, scale: &[f32], cin: usize) -> Arc<Panels> {
        let packing = Packing::Dense { cin };
        if let Some(Packed::Panels(panels)) = self.find(weight, scale, packing) {
            return panels;
        }
        let taps = weight.0.len() / scale.len() / cin;
        let panels = Arc::new(Panels::of_kernel(&weight.0, scale, cin, taps));
        self.add(weight, scale, packing, Packed::Panels(panels.clone()));
        panels
    }

    /// The same for a matrix `[depth, columns]`.
    pub fn matrix(&mut self, weight: &Constant, scale: &[f32]) -> Arc<Panels> {
        if let Some(Packed::Panels(panels)) = self.find(weight, scale, Packing::Matrix) {
            return panels;
        }
        let columns = scale.len();
        let depth = weight.0.len() / columns;
        let fill = |first: usize, width: usize, panel: &mut [f32]| {
            let wide = width.min(columns - first);
            let rows = panel.chunks_exact_mut(width);
            for (to, from) in rows.zip(weight.0.chunks_exact(columns)) {
                let pairs = from[first..first + wide].iter().zip(&scale[first..]);
                for (to, (value, scale)) in to.iter_mut().zip(pairs) {
                    *to = value * scale;
                }
            }
        };
        let panels = Arc::new(Panels::new(depth, columns, fill));
        self.add(
            weight,
            scale,
            Packing::Matrix,
            Packed::Panels(panels.clone()),
        );
        panels
    }

    /// The transformed weight of a 3×3 convolution; `None` if the channels do not fill vectors.
    pub fn winograd(
        &mut self,
        weight: &Constant,
        scale: &[f32],
        cin: usize,
        size: Size,
    ) -> Option<Arc<Winograd>> {
        let packing = Packing::Winograd(size);
        if let Some(Packed::Winograd(winograd)) = self.find(weight, scale, packing) {
            return Some(winograd);
        }
        // The panels are needed only here.
        let panels = Panels::of_kernel(&weight.0, scale, cin, 9);
        let winograd = Arc::new(Winograd::new(size, &panels)?);
        self.add(weight, scale, packing, Packed::Winograd(winograd.clone()));
        Some(winograd)
    }

    /// `[channels, taps]` as `[taps, channels]`.
    pub fn depthwise(&mut self, weight: &Constant, scale: &[f32]) -> Arc<Vec<f32>> {
        if let Some(Packed::Depthwise(packed)) = self.find(weight, scale, Packing::Depthwise) {
            return packed;
        }
        let channels = scale.len();
        let taps = weight.0.len() / channels;
        let at = |n: usize| weight.0[n % channels * taps + n / channels] * scale[n % channels];
        let packed: Arc<Vec<f32>> = Arc::new((0..weight.0.len()).map(at).collect());
        let entry = Packed::Depthwise(packed.clone());
        self.add(weight, scale, Packing::Depthwise, entry);
        packed
    }

    /// The weight of a convolution in groups.
    pub fn grouped(
        &mut self,
        weight: &Constant,
        scale: &[f32],
        (cin, groups): (usize, usize),
    ) -> Arc<Grouped> {
        let packing = Packing::Grouped { cin, groups };
        if let Some(Packed::Grouped(packed)) = self.find(weight, scale, packing) {
            return packed;
        }
        let packed = Arc::new(Grouped::new(&weight.0, scale, cin, groups));
        self.add(weight, scale, packing, Packed::Grouped(packed.clone()));
        packed
    }

    fn find(&self, weight: &Constant, scale: &[f32], packing: Packing) -> Option<Packed> {
        let same = |entry: &&Entry| {
            Arc::ptr_eq(&entry.weight.0, &weight.0)
                && entry.packing == packing
                && entry.scale == scale
        };
        self.0.iter().find(same).map(|entry| entry.packed.clone())
    }

    fn add(&mut self, weight: &Constant, scale: &[f32], packing: Packing, packed: Packed) {
        self.0.push(Entry {
            weight: weight.clone(),
            scale: scale.to_vec(),
            packing,
            packed,
        });
    }
}
