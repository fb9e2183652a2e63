//! Where sentences end.

use super::prose::Word;

/// Short forms whose full stop ends no sentence.
const ABBREVIATIONS: [&str; 12] =
    ["e.g.", "i.e.", "cf.", "vs.", "etc.", "no.", "nr.", "fig.", "sec.", "approx.", "incl.", "resp."];

/// Marks that may follow the one that ends a sentence.
const CLOSING: [char; 8] = [')', ']', '"', '\'', '*', '_', '”', '’'];

/// The sentences of a passage.
pub(crate) fn sentences(words: &[Word]) -> Vec<&[Word]> {
    let ends = |word: &Word| ends_sentence(&word.text);
    words.split_inclusive(ends).collect()
}

/// How many words a reader reads: dashes and other lone marks are none, nor is the number of a promise before it.
pub(crate) fn count(sentence: &[Word]) -> usize {
    let words = sentence.iter().filter(|word| word.code || word.text.contains(char::is_alphanumeric)).count();
    words - usize::from(sentence.first().is_some_and(|word| is_number_of_promise(&word.text)))
}

/// `P1.2`, `D14`.
fn is_number_of_promise(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    digits.len() + 1 == word.len()
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn ends_sentence(word: &str) -> bool {
    let bare = word.trim_end_matches(CLOSING);
    let opening = |c: char| !c.is_alphanumeric();
    bare.ends_with(['.', '!', '?'])
        && !bare.ends_with("..")
        && !ABBREVIATIONS.contains(&bare.trim_start_matches(opening).to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::prose::passages;

    fn split(text: &str) -> Vec<String> {
        let passages = passages(text, false);
        let joined =
            |words: &[Word]| words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        passages.iter().flat_map(|passage| sentences(&passage.words)).map(joined).collect()
    }

    #[test]
    fn full_stop_question_and_exclamation_end_a_sentence() {
        assert_eq!(split("One two. css_set is three? Yes!"), ["One two.", "css_set is three?", "Yes!"]);
        assert_eq!(split("(See here.) \"There.\" Then"), ["(See here.)", "\"There.\"", "Then"]);
    }

    #[test]
    fn abbreviations_numbers_and_code_do_not() {
        for one in
            ["Some, e.g. a (i.e. b), etc. and c", "Linux 6.x and 2.6.34 do", "`a. b` and `a.` c", "so ... on"]
        {
            assert_eq!(split(one).len(), 1, "{one}");
        }
        assert_eq!(split("It calls `a.b`. Then").len(), 2);
    }

    #[test]
    fn lone_marks_are_not_counted() {
        let passages = passages("a — b / `c d` 1,000 µs -", false);
        assert_eq!(count(&passages[0].words), 5);
    }

    #[test]
    fn number_before_a_promise_is_not_counted() {
        let counted = |text| count(&passages(text, false)[0].words);
        assert_eq!(counted("**P1.2** A mount shares."), 3);
        assert_eq!(counted("D14 a mount"), 2);
        assert_eq!(counted("X is 86"), 3);
    }
}
