//! Words and constructions that do not belong into penfold's prose, and where they stand in a sentence.

use super::prose::Word;

/// A rule against phrases.
#[derive(Debug)]
pub(crate) struct PhraseRule {
    /// The name of the rule in the table.
    pub(crate) name: &'static str,
    /// Phrases of lower-case words with commas between them. `^` before the first word: only at the start of a sentence.
    /// `~`: only at the start of the first sentence of a page or of documentation. `*` behind a word: with any ending.
    phrases: &'static str,
    /// Longer phrases that are good although one of the above is in them.
    except: &'static str,
}

/// The rules, in the order in which a table shows them.
pub(crate) const RULES: &[PhraseRule] = &[
    // a call or an event has a name
    PhraseRule {
        name: "told",
        phrases: "is told, are told, was told, were told, be told, been told, being told, told of, told by, \
            told that, told to, told the, told with, told about, told once, is handed, are handed, \
            is asked, are asked, was asked, be asked, hears of, hear of, heard of",
        except: "told apart, asked for, handed over",
    },
    // the role of the person has a name
    PhraseRule {
        name: "who-noun",
        phrases: "whoever, whomever, whosoever, ^who, of who, for who, to who, by who, with who, says who, \
            knows who, who asks, who asked",
        except: "",
    },
    // the thing has a name
    PhraseRule {
        name: "what-noun",
        phrases: "^what, of what, for what, to what, with what, by what, from what, in what, at what, on what, \
            than what, and what, or what, but what, that what, if what, is what, are what, as what",
        except: "",
    },
    // the role of the person has a name
    PhraseRule { name: "person", phrases: "somebody*, someone*, anybody*, anyone*", except: "" },
    // the first sentence names its subject
    PhraseRule {
        name: "no-subject",
        phrases: "~it, ~its, ~they, ~their, ~them, ~those, ~one that, ~one which, ~that is, ~this is",
        except: "",
    },
    // the field's own word, or a plain one
    PhraseRule {
        name: "image",
        phrases: "desk*, shelf, shelves, guest*, landlord*, tenan*, bury, buried, burial*, buries, doom*, news, \
            crowd*, stranger*, warden*, errand*, home, homes, house, houses, room, rooms, storey*, door, \
            doors, kick*, workshop*, attendant*, let loose, lets loose, let go, lets go, letting go, \
            take in, takes in, taken in, taking in, took in, gossip*, hub, dice, orphanage*, sister*, \
            visitor*, neighbour*",
        except: "home directory, home directories, no room, make room, makes room, room for, room left, \
            taken in order, taken in turn",
    },
];

/// The first place in a sentence at which a rule's phrase stands. `first`: the sentence begins a page or documentation.
pub(crate) fn place(rule: &PhraseRule, sentence: &[Word], first: bool) -> Option<usize> {
    let words = bare_words(sentence);
    let question = sentence.last().is_some_and(|word| word.text.ends_with('?'));
    (0..words.len()).find(|&at| {
        phrases(rule.phrases).any(|phrase| {
            let (bound, bare) = match phrase.strip_prefix('^') {
                // a question may begin like this
                Some(bare) => (at == 0 && !question, bare),
                None => phrase.strip_prefix('~').map_or((true, phrase), |bare| (at == 0 && first, bare)),
            };
            bound && stands(bare, &words, at) && !excepted(rule, &words, at, length(bare))
        })
    })
}

/// The phrases of a list; an empty list has none.
fn phrases(list: &str) -> impl Iterator<Item = &str> {
    list.split(", ").filter(|phrase| !phrase.is_empty())
}

fn length(phrase: &str) -> usize {
    phrase.split(' ').count()
}

/// Whether one of the rule's exceptions shares a word with the `count` words from `at` on.
fn excepted(rule: &PhraseRule, words: &[BareWord], at: usize, count: usize) -> bool {
    phrases(rule.except).any(|phrase| {
        let earliest = (at + 1).saturating_sub(length(phrase));
        (earliest..at + count).any(|from| stands(phrase, words, from))
    })
}

/// Whether the words from `at` on are those of the phrase, with no comma between them.
fn stands(phrase: &str, words: &[BareWord], at: usize) -> bool {
    let mut before: Option<&BareWord> = None;
    let mut words = words[at..].iter();
    phrase.split(' ').all(|wanted| {
        let Some(word) = words.next() else { return false };
        let goes_on = before.replace(word).is_none_or(|before| !before.pause);
        goes_on && wanted.strip_suffix('*').map_or(word.text == wanted, |start| word.text.starts_with(start))
    })
}

/// A word as phrases have it.
struct BareWord {
    /// In lower case, without marks; empty where code or something quoted is.
    text: String,
    /// A comma, a bracket or the like follows.
    pause: bool,
}

fn bare_words(sentence: &[Word]) -> Vec<BareWord> {
    let mut quoted = false;
    let bare = |word: &Word| {
        let marks = word.text.matches(['"', '“', '”']).count();
        let inside = quoted || marks > 0;
        quoted ^= marks % 2 == 1;
        let pause = word.text.ends_with(|c: char| !c.is_alphanumeric());
        if word.code || inside {
            return BareWord { text: String::new(), pause };
        }
        let text = word.text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        BareWord { text: text.strip_suffix("'s").unwrap_or(&text).to_owned(), pause }
    };
    sentence.iter().map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::prose::passages;
    use crate::words::sentences::sentences;

    /// The rules that find something in a sentence that begins a comment, each with the word at which it does.
    fn found(text: &str) -> Vec<(&'static str, String)> {
        let passages = passages(text, false);
        let sentence = sentences(&passages[0].words)[0];
        let place =
            |rule: &PhraseRule| place(rule, sentence, true).map(|at| (rule.name, sentence[at].text.clone()));
        RULES.iter().filter_map(place).collect()
    }

    fn names(text: &str) -> Vec<&'static str> {
        found(text).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn each_rule_finds_its_phrases() {
        assert_eq!(names("The host is told of it."), ["told"]);
        assert_eq!(names("Whoever asks is right."), ["who-noun"]);
        assert_eq!(names("Who asks is right."), ["who-noun"]);
        assert_eq!(names("What a client may do."), ["what-noun"]);
        assert_eq!(names("The end of what is read."), ["what-noun"]);
        assert_eq!(names("Then somebody's task dies."), ["person"]);
        assert_eq!(names("It returns the task."), ["no-subject"]);
        assert_eq!(found("The client (Desk, say) waits."), [("image", "(Desk,".to_owned())]);
        assert_eq!(names("The landlords wait."), ["image"]);
    }

    #[test]
    fn good_sentences_are_left_alone() {
        for good in [
            "The caller, who is root, says what it needs.",
            "What does it cost?",
            "The two can be told apart by their number.",
            "The user's home directory has no room for it.",
            "A file called `desk.rs` and `is told`.",
            "The kernel prints \"somebody is told of what\" there.",
            "A task returns when it is done.",
            "The files that it would take, in their order.",
        ] {
            assert_eq!(names(good), [""; 0], "{good}");
        }
    }

    #[test]
    fn sentence_behind_the_first_may_begin_with_it() {
        let passages = passages("It returns.", false);
        let rule = RULES.iter().find(|rule| rule.name == "no-subject").unwrap();
        assert_eq!(place(rule, &passages[0].words, true), Some(0));
        assert_eq!(place(rule, &passages[0].words, false), None);
    }

    #[test]
    fn exception_covers_only_the_words_in_it() {
        assert_eq!(found("In a home directory at home."), [("image", "home.".to_owned())]);
    }
}
