//! Runs that follow each other, which share one statement.

/// First and last of the numbers that follow each other without a gap, for numbers in order.
pub(crate) fn ranges(seqs: &[i64]) -> impl Iterator<Item = (i64, i64)> + '_ {
    seqs.chunk_by(|one, next| one + 1 == *next)
        .filter_map(|range| Some((*range.first()?, *range.last()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_a_number_is_missing() {
        let found: Vec<_> = ranges(&[3, 4, 5, 7, 9, 10]).collect();
        assert_eq!(found, [(3, 5), (7, 7), (9, 10)]);
        assert_eq!(ranges(&[]).count(), 0);
    }
}
