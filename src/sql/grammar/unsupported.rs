//! Constructs that nothing here gives a tree to, with the reason in words.

use sqlparser::keywords::Keyword;

use super::clauses;
use super::tree::Node;

/// Why no query with this level can be read.
pub(super) fn reason(level: &[Node]) -> Option<&'static str> {
    for start in clauses::query_starts(level) {
        let Some(node) = level.get(start) else {
            continue;
        };
        // The words may also be names.
        let followed = level.get(start + 1).is_some_and(Node::is_name);
        if (node.is_word("pivot") || node.is_word("pivot_wider"))
            && (followed || level.get(start + 1).is_some_and(Node::is_parens))
        {
            return Some("`PIVOT` on several columns is not supported");
        }
        if node.is_word("summarize") && followed {
            return Some("`SUMMARIZE` is not supported");
        }
        if (node.is_word("describe") || node.is_word("show")) && followed {
            return Some("`DESCRIBE` and `SHOW` are not supported");
        }
    }
    for (index, node) in level.iter().enumerate() {
        let next = |keyword| level.get(index + 1).is_some_and(|next| next.is(keyword));
        if node.is(Keyword::USING) && next(Keyword::SAMPLE) {
            return Some("`USING SAMPLE` is not supported");
        }
        if node.is(Keyword::USING) && next(Keyword::KEY) {
            return Some("`USING KEY` is not supported");
        }
        if node.is(Keyword::TABLESAMPLE)
            && level
                .get(index + 1)
                .is_some_and(|next| next.is_word("reservoir"))
        {
            return Some("`TABLESAMPLE RESERVOIR` is not supported");
        }
    }
    None
}
