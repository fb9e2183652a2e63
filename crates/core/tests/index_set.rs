//! Sets of CPUs and memory nodes: the operations of a set, and lists as `bitmap_parselist` of Linux 6.18 reads them.

use penfold_core::{Errno, host::IndexSet};

fn set(numbers: &[usize]) -> IndexSet {
    numbers.iter().copied().collect()
}

/// Numbers on both sides of each border between words.
const BORDERS: [usize; 8] = [0, 1, 63, 64, 65, 127, 128, 200];

#[test]
fn set_contains_what_was_inserted_and_nothing_else() {
    for number in BORDERS {
        let single = IndexSet::single(number);
        let found: Vec<usize> = (0..300).filter(|&other| single.contains(other)).collect();
        assert_eq!(found, [number]);
        assert_eq!((single.len(), single.last(), single.is_empty()), (1, Some(number), false));
        assert_eq!(single.iter().collect::<Vec<_>>(), [number]);
    }
    let all = set(&BORDERS);
    assert_eq!(all.iter().collect::<Vec<_>>(), BORDERS);
    assert_eq!((all.len(), all.last()), (BORDERS.len(), Some(200)));
}

#[test]
fn order_of_insertion_and_repeats_make_no_difference() {
    let descending: IndexSet = BORDERS.into_iter().rev().chain(BORDERS).collect();
    assert_eq!(descending, set(&BORDERS));
    assert_eq!(descending.len(), BORDERS.len());
}

#[test]
fn empty_set_has_no_number() {
    let empty = IndexSet::new();
    assert_eq!((empty.len(), empty.last(), empty.is_empty()), (0, None, true));
    assert_eq!(empty.iter().next(), None);
    assert_eq!(empty, IndexSet::first(0));
    assert!(!IndexSet::single(64).is_empty() && !IndexSet::single(0).is_empty());
}

#[test]
fn first_numbers_are_those_below_the_count() {
    for count in [1, 63, 64, 65, 129] {
        let first = IndexSet::first(count);
        assert_eq!((first.len(), first.last()), (count, Some(count - 1)), "{count}");
    }
}

#[test]
fn union_and_intersection_take_every_word_of_both() {
    let (a, b) = (set(&[0, 1, 64, 130]), set(&[1, 2, 64, 65]));
    assert_eq!(a.union(&b), set(&[0, 1, 2, 64, 65, 130]));
    assert_eq!(b.union(&a), a.union(&b));
    assert_eq!(a.intersection(&b), set(&[1, 64]));
    assert_eq!(b.intersection(&a), set(&[1, 64]));
    assert_eq!(
        set(&[0, 200]).intersection(&set(&[0, 100])),
        set(&[0]),
        "without the words that became empty"
    );
}

#[test]
fn subset_and_shared_numbers_are_seen_in_every_word() {
    let whole = set(&[1, 2, 64, 130]);
    for part in [&[][..], &[1], &[2, 64], &[130], &[1, 2, 64, 130]] {
        assert!(set(part).is_subset(&whole), "{part:?}");
        assert_eq!(set(part).intersects(&whole), !part.is_empty(), "{part:?}");
        assert_eq!(whole.intersects(&set(part)), !part.is_empty(), "{part:?}");
    }
    for other in [&[0][..], &[1, 65], &[131], &[1, 2, 64, 130, 200]] {
        assert!(!set(other).is_subset(&whole), "{other:?}");
    }
    for strange in [&[0][..], &[65, 3], &[131, 200]] {
        assert!(!set(strange).intersects(&whole), "{strange:?}");
    }
}

#[test]
fn words_of_a_set_make_the_set_again() {
    for numbers in [&[][..], &[0, 63], &[64], &[1, 130]] {
        let mask = set(numbers);
        assert_eq!(IndexSet::from_words(&mask.to_words()), mask);
    }
    assert_eq!(set(&[1, 130]).to_words(), [2, 0, 4]);
    assert_eq!(IndexSet::new().to_words(), [0], "one word at least");
    assert_eq!(IndexSet::from_words(&[0, 0, 1]), set(&[128]));
}

#[test]
fn list_is_printed_in_ascending_maximal_ranges() {
    for (numbers, text) in [
        (&[][..], ""),
        (&[3], "3"),
        (&[3, 4], "3-4"),
        (&[0, 2, 3, 4, 7], "0,2-4,7"),
        (&[63, 64, 65], "63-65"),
        (&[1, 3, 5], "1,3,5"),
    ] {
        assert_eq!(set(numbers).to_string(), text);
        assert_eq!(format!("{:?}", set(numbers)), format!("{{{text}}}"));
    }
}

#[test]
fn list_names_numbers_ranges_groups_and_words() {
    for (text, numbers) in [
        ("", &[][..]),
        (",, \t\n", &[]),
        ("0", &[0]),
        ("9", &[9]),
        ("0-3,7", &[0, 1, 2, 3, 7]),
        ("5-5", &[5]),
        ("1 3\t5,7\u{b}9", &[1, 3, 5, 7, 9]),
        ("3-4,1-3", &[1, 2, 3, 4]),
        ("all", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("ALL", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("all:1/3", &[0, 3, 6, 9]),
        ("N", &[9]),
        ("7-N", &[7, 8, 9]),
        ("0-9:2/4", &[0, 1, 4, 5, 8, 9]),
        ("0-8:2/4", &[0, 1, 4, 5, 8]),
        ("1-6:1/2", &[1, 3, 5]),
        ("2-5:4/4", &[2, 3, 4, 5]),
        ("2-5:0/2", &[]),
        ("0-5:1/N", &[0]),
        ("3\n4,garbage", &[3]),
    ] {
        assert_eq!(IndexSet::parse_list(text, 10), Ok(set(numbers)), "{text:?}");
    }
    assert_eq!(IndexSet::parse_list("60-70", 100), Ok((60..=70).collect()));
    assert_eq!(IndexSet::parse_list("0", 1), Ok(set(&[0])));
}

#[test]
fn list_that_linux_refuses_is_einval() {
    for text in [
        "a", "-1", "1-", "3-1", "1-2-3", "1:1/2", "0-3:", "0-3:1", "0-3:1/", "0-3:1/0", "0-3:3/2",
        "0-3:1/2x", "0-3x", "1x", "all1", "al", "al-", "0-3:/2", "n", "allx", "+1", "0x1", "1;2",
    ] {
        assert_eq!(IndexSet::parse_list(text, 10), Err(Errno::EINVAL), "{text:?}");
    }
    assert_eq!(IndexSet::parse_list("0,1-", 10), Err(Errno::EINVAL), "one bad region is enough");
}

#[test]
fn number_not_below_the_limit_is_erange() {
    for text in ["10", "0-10", "9,10", "11-12", "4294967294"] {
        assert_eq!(IndexSet::parse_list(text, 10), Err(Errno::ERANGE), "{text:?}");
    }
}

#[test]
fn number_above_32_bits_is_eoverflow() {
    for text in ["4294967296", "0-4294967296", "99999999999999999999"] {
        assert_eq!(IndexSet::parse_list(text, 10), Err(Errno::EOVERFLOW), "{text:?}");
    }
    assert_eq!(
        IndexSet::parse_list("4294967295", 10),
        Err(Errno::EINVAL),
        "the group's length wraps to 0 in Linux"
    );
}
