//! Which axes of a value are rows and columns of the image.
//!
//! The roles of the input's axes are known; each operator passes them on. Tokens of a vision
//! transformer are rows and columns merged into one axis, possibly after a few other tokens
//! (class, distillation, registers).

use crate::model::graph::{Graph, Node, Op, ValueId};

/// The role of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// Neither rows nor columns.
    Plain,
    /// Rows.
    Rows,
    /// Columns.
    Columns,
    /// Rows and columns merged, after `prefix` other tokens.
    Tokens {
        /// Number of tokens before those of the image.
        prefix: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

/// The roles of a value's axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Roles {
    /// One for each axis.
    pub axes: Vec<Role>,
    /// The distance of two neighboring cells in pixels of the input: across, down.
    pub stride: (f64, f64),
    /// The shape and the roles before a reshape that mixed rows and columns with other axes, as long
    /// as every value stays in its place: the reshape back restores them (group normalization).
    before: Option<Box<(Vec<usize>, Vec<Role>)>>,
}

/// Where an image lies in a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Space {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// How it is stored.
    pub axes: SpaceAxes,
}

/// The axes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceAxes {
    /// An axis of rows and one of columns.
    Grid {
        /// The axis of rows.
        rows: usize,
        /// The axis of columns.
        columns: usize,
    },
    /// One axis, after some other tokens.
    Tokens {
        /// The axis.
        axis: usize,
        /// Number of other tokens.
        prefix: usize,
    },
}

impl Roles {
    fn plain(rank: usize) -> Self {
        Self {
            axes: vec![Role::Plain; rank],
            stride: (1.0, 1.0),
            before: None,
        }
    }

    fn is_plain(&self) -> bool {
        self.axes.iter().all(|role| *role == Role::Plain)
    }

    fn with(&self, axes: Vec<Role>) -> Self {
        Self {
            axes,
            stride: self.stride,
            before: None,
        }
    }

    /// Only every `step`-th position of an axis is left.
    fn spread(&mut self, axis: usize, step: usize) {
        match self.axes[axis] {
            Role::Rows => self.stride.1 *= step as f64,
            Role::Columns => self.stride.0 *= step as f64,
            Role::Plain | Role::Tokens { .. } => {}
        }
    }

    /// The image in a value of this shape, if it has more than one cell.
    #[must_use]
    pub fn space(&self, shape: &[usize]) -> Option<Space> {
        let find = |wanted: Role| self.axes.iter().position(|role| *role == wanted);
        let space = match (find(Role::Rows), find(Role::Columns)) {
            (Some(rows), Some(columns)) => Space {
                height: shape[rows],
                width: shape[columns],
                axes: SpaceAxes::Grid { rows, columns },
            },
            (None, None) => {
                let tokens = self.axes.iter().enumerate();
                let mut tokens = tokens.filter_map(|(axis, role)| match *role {
                    Role::Tokens {
                        prefix,
                        height,
                        width,
                    } => Some(Space {
                        height,
                        width,
                        axes: SpaceAxes::Tokens { axis, prefix },
                    }),
                    _ => None,
                });
                // Products of tokens and tokens (attention) are not images.
                tokens.next().filter(|_| tokens.next().is_none())?
            }
            _ => return None,
        };
        (space.height * space.width > 1).then_some(space)
    }
}

/// The roles of all values, by their index. The input is `[1, C, H, W]`, or `[1, H, W, C]` if
/// `channels_last`.
#[must_use]
pub fn roles(graph: &Graph, channels_last: bool) -> Vec<Roles> {
    let values = graph.values.iter();
    let mut all: Vec<Roles> = values
        .map(|value| Roles::plain(value.shape.len()))
        .collect();
    all[graph.input.index()].axes = if channels_last {
        vec![Role::Plain, Role::Rows, Role::Columns, Role::Plain]
    } else {
        vec![Role::Plain, Role::Plain, Role::Rows, Role::Columns]
    };
    for node in &graph.nodes {
        let roles = of_node(graph, node, &all);
        debug_assert_eq!(roles.axes.len(), graph.shape(node.output).len());
        all[node.output.index()] = roles;
    }
    all
}

#[allow(clippy::too_many_lines)] // a table
fn of_node(graph: &Graph, node: &Node, all: &[Roles]) -> Roles {
    let roles = |id: ValueId| &all[id.index()];
    let x = roles(node.inputs[0]);
    let shape = graph.shape(node.inputs[0]);
    let output = graph.shape(node.output);
    let none = || Roles::plain(output.len());
    match &node.op {
        Op::Unary(_)
        | Op::Softmax { .. }
        | Op::LogSoftmax { .. }
        | Op::BatchNorm { .. }
        | Op::LayerNorm { .. }
        | Op::GroupNorm { .. }
        | Op::Lrn { .. } => x.clone(),
        Op::Pad { .. } => x.with(x.axes.clone()),
        Op::Conv(conv) => windows(x, conv.strides),
        Op::MaxPool(pool) | Op::AveragePool { pool, .. } => windows(x, pool.strides),
        Op::Linear => {
            let mut axes = x.axes.clone();
            if let Some(last) = axes.last_mut() {
                *last = Role::Plain;
            }
            x.with(axes)
        }
        Op::MatMul => {
            let b = roles(node.inputs[1]);
            let mut axes = vec![Role::Plain; output.len()];
            for (from, row) in [(x, true), (b, false)] {
                let rank = from.axes.len();
                let missing = output.len() - rank;
                for (axis, role) in from.axes.iter().enumerate() {
                    let kept = match axis + 2 {
                        at if at == rank => row,
                        at if at == rank + 1 => !row,
                        _ => true,
                    };
                    if kept && *role != Role::Plain {
                        axes[axis + missing] = *role;
                    }
                }
            }
            let from = if x.is_plain() { b } else { x };
            from.with(axes)
        }
        Op::Binary(_) | Op::Concat { .. } => {
            let mut known = node.inputs.iter().map(|id| roles(*id));
            let Some(first) = known.find(|roles| !roles.is_plain()) else {
                // Constants keep every value in its place.
                let mut known = node.inputs.iter().map(|id| roles(*id));
                let kept = known.find(|roles| roles.before.is_some()).cloned();
                let kept = kept.filter(|roles| roles.axes.len() == output.len());
                return match node.op {
                    Op::Binary(_) => kept.unwrap_or_else(none),
                    _ => none(),
                };
            };
            let axes = match node.op {
                Op::Concat { axis } => concat(graph, node, all, axis),
                _ => broadcast(graph, node, all),
            };
            first.with(axes)
        }
        Op::Reduce {
            axes, keep_dims, ..
        } => {
            let kept = x.axes.iter().enumerate();
            let kept = kept.filter_map(|(axis, role)| match axes.contains(&axis) {
                true if *keep_dims => Some(Role::Plain),
                true => None,
                false => Some(*role),
            });
            x.with(kept.collect())
        }
        Op::Slice {
            axis,
            start,
            step,
            length,
        } => {
            let mut axes = x.axes.clone();
            axes[*axis] = part(axes[*axis], *start, *step, *length);
            let mut roles = x.with(axes);
            roles.spread(*axis, step.unsigned_abs());
            roles
        }
        Op::Gather {
            axis,
            indices,
            shape: by,
        } => {
            let step = if by.len() == 1 {
                every(indices, shape[*axis])
            } else {
                None
            };
            let role = match (x.axes[*axis], step) {
                (Role::Tokens { .. }, Some(2..)) | (_, None) => Role::Plain,
                (role, Some(_)) => role,
            };
            let replaced = vec![role; by.len()];
            let mut roles = x.with([&x.axes[..*axis], &replaced, &x.axes[axis + 1..]].concat());
            if role != Role::Plain {
                roles.spread(*axis, step.unwrap_or(1));
            }
            roles
        }
        Op::Transpose { perm } => x.with(perm.iter().map(|axis| x.axes[*axis]).collect()),
        Op::Expand { .. } => {
            let missing = output.len() - shape.len();
            let axes = (0..output.len()).map(|axis| match axis.checked_sub(missing) {
                Some(axis) => x.axes[axis],
                None => Role::Plain,
            });
            x.with(axes.collect())
        }
        Op::Reshape { shape: to } => match &x.before {
            Some(before) if before.0 == *to => x.with(before.1.clone()),
            before => {
                let (axes, factor) = reshaped(&x.axes, shape, to);
                let mut roles = x.with(axes);
                roles.stride.0 *= factor.0;
                roles.stride.1 *= factor.1;
                if roles.is_plain() {
                    let now = || Box::new((shape.to_vec(), x.axes.clone()));
                    roles.before = before.clone().or_else(|| (!x.is_plain()).then(now));
                }
                roles
            }
        },
        Op::Resample { axis, taps } => {
            let factor = shape[*axis] as f64 / taps.len() as f64;
            let mut roles = x.clone();
            match x.axes[*axis] {
                Role::Rows => roles.stride.1 *= factor,
                Role::Columns => roles.stride.0 *= factor,
                Role::Plain => {}
                Role::Tokens { .. } => return none(),
            }
            roles
        }
    }
}

/// The roles after windows over the last two of four axes.
fn windows(x: &Roles, strides: [usize; 2]) -> Roles {
    let mut roles = x.clone();
    roles.axes[..2].fill(Role::Plain);
    match roles.axes[2..] {
        [Role::Rows, Role::Columns] => {
            roles.stride.0 *= strides[1] as f64;
            roles.stride.1 *= strides[0] as f64;
        }
        // An image on its side: rows and columns keep their roles, with the other stride.
        [Role::Columns, Role::Rows] => {
            roles.stride.0 *= strides[0] as f64;
            roles.stride.1 *= strides[1] as f64;
        }
        _ => return Roles::plain(4),
    }
    roles
}

fn broadcast(graph: &Graph, node: &Node, all: &[Roles]) -> Vec<Role> {
    let rank = graph.shape(node.output).len();
    let mut axes = vec![Role::Plain; rank];
    for input in &node.inputs {
        let (shape, roles) = (graph.shape(*input), &all[input.index()]);
        let missing = rank - shape.len();
        for (axis, role) in roles.axes.iter().enumerate() {
            let is_whole = shape[axis] == graph.shape(node.output)[axis + missing];
            if is_whole && *role != Role::Plain {
                axes[axis + missing] = *role;
            }
        }
    }
    axes
}

fn concat(graph: &Graph, node: &Node, all: &[Roles], axis: usize) -> Vec<Role> {
    let mut axes = vec![Role::Plain; graph.shape(node.output).len()];
    let mut before = 0;
    for input in &node.inputs {
        let (shape, roles) = (graph.shape(*input), &all[input.index()]);
        for (at, role) in roles.axes.iter().enumerate() {
            match *role {
                Role::Plain => {}
                Role::Tokens {
                    prefix,
                    height,
                    width,
                } if at == axis => {
                    axes[at] = Role::Tokens {
                        prefix: prefix + before,
                        height,
                        width,
                    };
                }
                role => axes[at] = role,
            }
        }
        before += shape[axis];
    }
    axes
}

/// The step of positions that go through a whole axis with the same distances.
fn every(positions: &[usize], side: usize) -> Option<usize> {
    let first = *positions.first()?;
    let step = match positions {
        [_] => side,
        [_, second, ..] => second.checked_sub(first).filter(|step| *step > 0)?,
        [] => return None,
    };
    let even = positions.windows(2).all(|pair| pair[0] + step == pair[1]);
    (even && first < step && positions.len() == (side - first).div_ceil(step)).then_some(step)
}

/// The role of some positions of an axis.
fn part(role: Role, start: usize, step: isize, length: usize) -> Role {
    match role {
        Role::Tokens {
            prefix,
            height,
            width,
        } if step == 1 && start <= prefix && start + length == prefix + height * width => {
            Role::Tokens {
                prefix: prefix - start,
                height,
                width,
            }
        }
        Role::Tokens { .. } => Role::Plain,
        // Backward, rows are no longer where they were.
        role if step > 0 => role,
        _ => Role::Plain,
    }
}

/// The roles after a reshape: axes that stay keep their role, rows and columns that are merged
/// become tokens, and the other way round. Rows that are cut into strips become rows of strips, and
/// the stride (across, down) grows by the returned factors.
fn reshaped(axes: &[Role], from: &[usize], to: &[usize]) -> (Vec<Role>, (f64, f64)) {
    let mut out = vec![Role::Plain; to.len()];
    let mut factor = (1.0, 1.0);
    let (mut i, mut j) = (0, 0);
    while i < from.len() && j < to.len() {
        // The smallest groups of axes with the same product.
        let (start_i, start_j) = (i, j);
        let (mut a, mut b) = (from[i], to[j]);
        i += 1;
        j += 1;
        while a != b {
            if a < b {
                a *= from[i];
                i += 1;
            } else {
                b *= to[j];
                j += 1;
            }
        }
        let long = |range: std::ops::Range<usize>, sides: &[usize]| -> Vec<usize> {
            range.filter(|axis| sides[*axis] > 1).collect()
        };
        let (old, new) = (long(start_i..i, from), long(start_j..j, to));
        let roles: Vec<Role> = old.iter().map(|axis| axes[*axis]).collect();
        match (&roles[..], &new[..]) {
            ([role], [axis]) => out[*axis] = *role,
            ([role @ (Role::Rows | Role::Columns)], [axis, ..]) => {
                out[*axis] = *role;
                let strip = (from[old[0]] / to[*axis]) as f64;
                match role {
                    Role::Rows => factor.1 = strip,
                    _ => factor.0 = strip,
                }
            }
            ([Role::Rows, Role::Columns], [axis]) => {
                out[*axis] = Role::Tokens {
                    prefix: 0,
                    height: from[old[0]],
                    width: from[old[1]],
                };
            }
            (
                [
                    Role::Tokens {
                        prefix: 0,
                        height,
                        width,
                    },
                ],
                [rows, columns],
            ) if (to[*rows], to[*columns]) == (*height, *width) => {
                out[*rows] = Role::Rows;
                out[*columns] = Role::Columns;
            }
            _ => {}
        }
    }
    (out, factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reshaped(axes: &[Role], from: &[usize], to: &[usize]) -> Vec<Role> {
        super::reshaped(axes, from, to).0
    }

    #[test]
    fn reshapes_pass_on_rows_and_columns() {
        use Role::{Columns, Plain, Rows};
        let grid = [Plain, Plain, Rows, Columns];
        let tokens = Role::Tokens {
            prefix: 0,
            height: 14,
            width: 16,
        };
        let from = [1, 192, 14, 16];
        assert_eq!(
            reshaped(&grid, &from, &[1, 192, 224]),
            [Plain, Plain, tokens]
        );
        assert_eq!(
            reshaped(&[Plain, Plain, tokens], &[1, 192, 224], &from),
            grid
        );
        // A channel shuffle.
        let split = reshaped(&grid, &from, &[1, 2, 96, 14, 16]);
        assert_eq!(split, [Plain, Plain, Plain, Rows, Columns]);
        assert_eq!(reshaped(&split, &[1, 2, 96, 14, 16], &from), grid);
        // Patches of 2 × 2.
        let patches = super::reshaped(&grid, &from, &[1, 192, 7, 2, 8, 2]);
        let rows = [Plain, Plain, Rows, Plain, Columns, Plain];
        assert_eq!(patches, (rows.to_vec(), (2.0, 2.0)));
        // Flattened with the channels, nothing is left.
        assert_eq!(reshaped(&grid, &from, &[1, 192 * 14 * 16]), [Plain, Plain]);
    }

    #[test]
    fn every_second_row_is_a_row() {
        assert_eq!(every(&[0, 1, 2], 3), Some(1));
        assert_eq!(every(&[1, 3, 5], 6), Some(2));
        assert_eq!(every(&[0, 2], 6), None);
        assert_eq!(every(&[2, 0, 1], 3), None);
    }

    #[test]
    fn class_tokens_come_and_go() {
        let tokens = |prefix| Role::Tokens {
            prefix,
            height: 3,
            width: 3,
        };
        assert_eq!(part(tokens(2), 1, 1, 10), tokens(1));
        assert_eq!(part(tokens(1), 1, 1, 9), tokens(0));
        assert_eq!(part(tokens(1), 0, 1, 1), Role::Plain);
    }
}
