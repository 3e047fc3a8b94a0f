//! Room for lists that grow long: what they hold decides what the process occupies, and half of a doubled one is empty.

/// The least that is added to a list. Unit: items.
const LEAST: usize = 64;

/// Makes room for so many more items: an eighth of what is there at a time, so that a list is copied a few times more
/// often than by doubling, and never has more than that eighth to spare.
pub fn make<T>(list: &mut Vec<T>, items: usize) {
    if list.capacity() - list.len() < items {
        list.reserve_exact(items.max(list.len() / 8).max(LEAST));
    }
}

/// Adds an item.
pub fn push<T>(list: &mut Vec<T>, item: T) {
    make(list, 1);
    list.push(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_has_an_eighth_to_spare_at_most() {
        let mut list = Vec::new();
        for number in 0..100_000_usize {
            push(&mut list, number);
            assert!(
                list.capacity() <= list.len() + (list.len() / 8).max(LEAST),
                "{} of {}",
                list.len(),
                list.capacity()
            );
        }
        make(&mut list, 1_000_000);
        assert_eq!(list.capacity(), 1_100_000);
        assert!(list.iter().copied().eq(0..100_000));
    }
}
