//! Texts that fit into the places that GitHub has for them.

/// Most characters that GitHub takes in the summary and in the text of a check run.
pub const MAX_OUTPUT_CHARS: usize = 65_535;

/// Most characters that GitHub takes in a comment.
pub const MAX_COMMENT_CHARS: usize = 65_536;

const NOTE: &str = "\n(cut)";
const FENCE: &str = "\n```";

/// `text`, or as many of its whole lines as fit into `max_bytes` together with a last line that says `(cut)`.
///
/// GitHub counts characters; bytes are never fewer, so the result fits either way. A code fence that the cut leaves
/// open is closed.
pub fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let mut end = max_bytes.saturating_sub(NOTE.len() + FENCE.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // A single line that is too long has no boundary: then it is cut within.
    let kept = &text[..text[..end].rfind('\n').unwrap_or(end)];
    let fences = kept
        .lines()
        .filter(|line| line.trim_start().starts_with("```"))
        .count();
    let close = if fences % 2 == 1 { FENCE } else { "" };
    format!("{kept}{close}{NOTE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_fits_is_left_alone() {
        assert_eq!(cut("one\ntwo", 7), "one\ntwo");
    }

    #[test]
    fn a_long_text_ends_after_a_whole_line_and_says_so() {
        let text = "0123456789\n".repeat(10);
        assert_eq!(cut(&text, 45), "0123456789\n0123456789\n0123456789\n(cut)");
    }

    #[test]
    fn an_open_code_fence_is_closed() {
        assert_eq!(
            cut(&format!("```\n{}", "select 1\n".repeat(9)), 30),
            "```\nselect 1\n```\n(cut)"
        );
    }

    #[test]
    fn a_line_of_wide_characters_is_cut_between_characters() {
        let cut_text = cut(&"ü".repeat(40_000), MAX_OUTPUT_CHARS);
        assert!(cut_text.len() <= MAX_OUTPUT_CHARS);
        assert!(cut_text.ends_with("ü\n(cut)"));
    }
}
