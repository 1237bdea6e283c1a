//! How NULL is written.

use super::Inference;
use super::column::{ColumnStats, NULL_WORDS};
use super::guess::{counted, group};
use super::line::Line;
use crate::pipeline::Format;

/// What stands for NULL in the whole file.
pub(super) struct Nulls {
    pub(super) words: Vec<&'static str>,
    /// Text of no characters is NULL.
    pub(super) empty: bool,
    /// The same in quotes.
    pub(super) quoted: bool,
}

impl Nulls {
    pub(super) fn of(inference: &Inference, lines: &mut [Line]) -> Nulls {
        backslash_n(inference, lines);
        let lines = &*lines;
        let stats = |line: &Line| inference.columns.get(line.index);
        let words: Vec<&str> = NULL_WORDS
            .into_iter()
            .filter(|word| lines.iter().any(|line| line.guess.null_words.contains(word)))
            .collect();
        let typed = |line: &&Line| line.guess.is_typed();
        let typed: Vec<&ColumnStats> = lines.iter().filter(typed).filter_map(stats).collect();
        let quoted_empty = typed.iter().any(|stats| stats.quoted_empty > 0);
        let empty = typed.iter().any(|stats| inference.empty(stats) > 0);
        // Where no text is empty, an empty field is no text that would be lost.
        let texts = lines.iter().filter(|line| !line.guess.is_typed()).filter_map(stats);
        let empty_texts = texts.clone().any(|stats| inference.empty(stats) > 0 && stats.values > 0);
        let quoted_words = typed.iter().any(|stats| stats.quoted_word_count() > 0);
        Nulls {
            empty: empty || quoted_empty || words.is_empty() || !empty_texts,
            quoted: quoted_empty || quoted_words,
            words,
        }
    }

    /// Which columns have a NULL.
    pub(super) fn mark(&self, inference: &Inference, lines: &mut [Line]) {
        for line in lines {
            let Some(stats) = inference.columns.get(line.index) else { continue };
            let counts = stats.words().filter(|(word, ..)| self.words.contains(word));
            let in_quotes = |quoted: u64| if self.quoted { 0 } else { quoted };
            let words: u64 = counts.map(|(_, all, quoted)| all - in_quotes(quoted)).sum();
            let jsonl = matches!(inference.format, Format::Jsonl(_));
            let plain = if self.empty || jsonl { inference.empty(stats) } else { 0 };
            let quoted = if self.empty && self.quoted { stats.quoted_empty } else { 0 };
            let nulls = plain + quoted + words;
            line.nullable = nulls > 0 || stats.values + stats.quoted_empty == 0;
            let rows = inference.rows;
            if nulls > 0 && nulls.saturating_mul(200) < rows {
                let seen = format!("only {} of {} rows are empty here", group(nulls), group(rows));
                let line_text = format!("{seen}: without nullable they would be rejected");
                line.guess.comments.push(line_text);
            }
        }
    }

    /// The texts of `null`, besides those that the file is known to be read with.
    pub(super) fn texts(&self, known: &[String]) -> Vec<String> {
        if !known.is_empty() && known != [""] {
            return known.to_vec();
        }
        let empty = self.empty.then(String::new);
        empty.into_iter().chain(self.words.iter().map(|word| (*word).to_owned())).collect()
    }
}

/// Whether `\N` in a column of texts is NULL: when it is for a number or date, or none of these shows how NULL
/// is written. Else it is a text, and the column says so.
fn backslash_n(inference: &Inference, lines: &mut [Line]) {
    const WORD: &str = "\\N";
    let typed = || lines.iter().filter(|line| line.guess.is_typed());
    let declared = typed().any(|line| line.guess.null_words.contains(&WORD));
    let shown = typed().any(|line| {
        let stats = inference.columns.get(line.index);
        let is_empty = |stats: &ColumnStats| inference.empty(stats) + stats.quoted_empty > 0;
        !line.guess.null_words.is_empty() || stats.is_some_and(is_empty)
    });
    for line in lines.iter_mut().filter(|line| !line.guess.is_typed()) {
        let Some(stats) = inference.columns.get(line.index) else { continue };
        let word = stats.words().find(|(word, ..)| *word == WORD);
        let bare = word.map_or(0, |(_, all, quoted)| all - quoted);
        if bare == 0 || line.guess.null_words.contains(&WORD) {
            continue;
        }
        if declared || !shown {
            line.guess.null_words.push(WORD);
        } else {
            let noun = counted(bare, "value is", "values are");
            let text = format!("{noun} \\N: a text, as NULL is written in another way");
            line.guess.comments.push(text);
        }
    }
}
