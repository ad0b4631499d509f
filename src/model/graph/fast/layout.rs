//! Orders of axes in memory.

use crate::model::cpu::Loops;

/// The order of an image `[N, C, H, W]`.
pub const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];

/// The order of a value that lies in memory as it is written.
pub fn row_major(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

/// The distance in memory of neighbors on each logical axis.
pub fn strides(shape: &[usize], order: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut step = 1;
    for axis in order.iter().rev() {
        strides[*axis] = step;
        step *= shape[*axis];
    }
    strides
}

/// The axes with more than one position, from the outermost to the innermost.
pub fn long_axes(shape: &[usize], order: &[usize]) -> Vec<usize> {
    let axes = order.iter().copied();
    axes.filter(|axis| shape[*axis] > 1).collect()
}

/// Whether two orders of a shape are the same in memory.
pub fn same(shape: &[usize], one: &[usize], other: &[usize]) -> bool {
    long_axes(shape, one) == long_axes(shape, other)
}

/// An order from its long axes.
pub fn with_short_axes(rank: usize, long: Vec<usize>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).filter(|axis| !long.contains(axis)).collect();
    order.extend(long);
    order
}

/// The innermost axis with more than one position.
pub fn inner_axis(shape: &[usize], order: &[usize]) -> Option<usize> {
    order.iter().rev().copied().find(|axis| shape[*axis] > 1)
}

/// The same values in another shape: `Ok` with the order of its axes if nothing has to move, or
/// `Err` with an order of the old axes in which nothing would have to.
pub fn reshaped(from: &[usize], to: &[usize], order: &[usize]) -> Result<Vec<usize>, Vec<usize>> {
    let groups = groups(from, to);
    let mut sequence = long_axes(from, order);
    let mut moved = false;
    for (axes, _) in &groups {
        let place = sequence.windows(axes.len()).position(|run| run == axes);
        if place.is_none() {
            moved = true;
            let mut last = sequence.len();
            while last > 0 && !axes.contains(&sequence[last - 1]) {
                last -= 1;
            }
            let after = sequence.split_off(last);
            sequence.retain(|axis| !axes.contains(axis));
            sequence.extend(axes);
            sequence.extend(after);
        }
    }
    if moved {
        return Err(with_short_axes(from.len(), sequence));
    }
    let mut new = Vec::new();
    let mut at = 0;
    while at < sequence.len() {
        let group = groups.iter().find(|(axes, _)| axes[0] == sequence[at]);
        let Some((axes, into)) = group else {
            return Err(row_major(from.len()));
        };
        new.extend(into);
        at += axes.len();
    }
    Ok(with_short_axes(to.len(), new))
}

/// The smallest groups of neighboring long axes of two shapes that have as many positions.
fn groups(from: &[usize], to: &[usize]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let long = |shape: &[usize]| -> Vec<usize> {
        let axes = 0..shape.len();
        axes.filter(|axis| shape[*axis] > 1).collect()
    };
    let (mut ours, mut theirs) = (long(from).into_iter(), long(to).into_iter());
    let mut groups = Vec::new();
    while let (Some(one), Some(other)) = (ours.next(), theirs.next()) {
        let (mut group, mut into) = (vec![one], vec![other]);
        let (mut count, mut count_into) = (from[one], to[other]);
        while count != count_into {
            if count < count_into {
                let Some(axis) = ours.next() else { break };
                count *= from[axis];
                group.push(axis);
            } else {
                let Some(axis) = theirs.next() else { break };
                count_into *= to[axis];
                into.push(axis);
            }
        }
        groups.push((group, into));
    }
    groups
}

/// The order after a transposition: axis `i` of the output is axis `perm[i]` of the input.
pub fn transposed(order: &[usize], perm: &[usize]) -> Vec<usize> {
    let place = |axis: &usize| perm.iter().position(|from| from == axis);
    order.iter().filter_map(place).collect()
}

/// The distances of an operand for the axes of the output, in the order of the output; the operand
/// is broadcast as in numpy.
pub fn broadcast_steps(
    (shape, order): (&[usize], &[usize]),
    (out_shape, out_order): (&[usize], &[usize]),
) -> Vec<isize> {
    let strides = strides(shape, order);
    let missing = out_shape.len() - shape.len();
    let step = |axis: &usize| match axis.checked_sub(missing) {
        Some(axis) if shape[axis] > 1 => strides[axis].cast_signed(),
        _ => 0,
    };
    out_order.iter().map(step).collect()
}

/// Loops over the axes in an output's order that read an operand with these strides (by axis).
pub fn loops(shape: &[usize], order: &[usize], strides: &[isize], start: usize) -> Loops<1> {
    let sides: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
    let steps: Vec<[isize; 1]> = order.iter().map(|axis| [strides[*axis]]).collect();
    Loops::new(&sides, &steps, [start])
}

/// Values in memory, row-major.
pub fn row_major_values(values: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
    let plain = row_major(shape.len());
    if same(shape, order, &plain) {
        return values.to_vec();
    }
    let strides: Vec<isize> = strides(shape, order)
        .into_iter()
        .map(usize::cast_signed)
        .collect();
    let loops = loops(shape, &plain, &strides, 0);
    let (inner, [step]) = loops.inner();
    let lines = 0..loops.len() / inner;
    let line = |index: usize| {
        let start = loops.line(index)[0];
        (0..inner.cast_signed()).map(move |n| values[(start + n * step).cast_unsigned()])
    };
    lines.flat_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_are_joined_and_split_without_moving() {
        let image = CHANNELS_LAST;
        // Rows and columns are neighbors in memory.
        let tokens = reshaped(&[1, 768, 14, 14], &[1, 768, 196], &image).unwrap();
        assert_eq!(long_axes(&[1, 768, 196], &tokens), [2, 1]);
        // Flattening needs channels first.
        let first = reshaped(&[1, 512, 7, 7], &[1, 25088], &image).unwrap_err();
        assert_eq!(long_axes(&[1, 512, 7, 7], &first), [1, 2, 3]);
        // A channel shuffle: the halves of the channels change places, the pixels stay.
        let halves = reshaped(&[1, 8, 5, 5], &[1, 2, 4, 5, 5], &image).unwrap();
        assert_eq!(long_axes(&[1, 2, 4, 5, 5], &halves), [3, 4, 1, 2]);
        let order = transposed(&halves, &[0, 2, 1, 3, 4]);
        let shape = [1, 4, 2, 5, 5];
        assert_eq!(long_axes(&shape, &order), [3, 4, 2, 1]);
        let moved = reshaped(&shape, &[1, 8, 5, 5], &order).unwrap_err();
        assert_eq!(long_axes(&shape, &moved), [3, 4, 1, 2]);
        let order = reshaped(&shape, &[1, 8, 5, 5], &moved).unwrap();
        assert_eq!(long_axes(&[1, 8, 5, 5], &order), [2, 3, 1]);
    }

    #[test]
    fn values_are_read_row_major() {
        // [1, 2, 1, 3] with channels last.
        let values = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0];
        let read = row_major_values(&values, &[1, 2, 1, 3], &CHANNELS_LAST);
        assert_eq!(read, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}
