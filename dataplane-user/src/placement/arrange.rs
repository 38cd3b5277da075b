//! Which shard of a row is in which column. Flows are spread over columns, so a shard that stays in a row stays in its
//! column.

use super::ROWS;
use super::columns::FREE;

/// Rows of `width` cells: the shards of `members`, which has [`FREE`] cells too, `first` in column 0, every other that was
/// in the row before where it was, as far as that is free; the rest in the order that they have in `members`.
/// `previous` has `width` cells a row, or is empty.
pub(super) fn arrange(
    members: impl Fn(usize, &mut Vec<u16>),
    first: &[u16],
    previous: &[u16],
    width: usize,
) -> Vec<u16> {
    let mut cells = vec![FREE; ROWS * width];
    let mut open: Vec<u16> = Vec::with_capacity(width + 1);
    for (row, to) in cells.chunks_mut(width.max(1)).enumerate() {
        open.clear();
        members(row, &mut open);
        open.retain(|shard| *shard != FREE);
        let first = first.get(row).copied().unwrap_or(FREE);
        if let Some(to) = to.first_mut() {
            *to = first;
        }
        open.retain(|shard| *shard != first);
        let before = previous.get(row * width..(row + 1) * width).unwrap_or_default();
        for (shard, to) in before.iter().zip(to.iter_mut()).skip(1) {
            if let Some(at) = open.iter().position(|it| it == shard) {
                *to = *shard;
                open.remove(at);
            }
        }
        // Whoever was first and stays takes the column of the one that is first now, if that was in the row.
        if let (Some(old), Some(column)) =
            (before.first(), before.iter().skip(1).position(|shard| *shard == first))
            && let Some(at) = open.iter().position(|it| it == old)
            && let Some(to) = to.get_mut(column + 1)
        {
            *to = *old;
            open.remove(at);
        }
        let mut rest = open.iter();
        for to in to.iter_mut().filter(|to| **to == FREE) {
            match rest.next() {
                Some(shard) => *to = *shard,
                None => break,
            }
        }
    }
    cells
}
