//! What a query reads.

use std::collections::BTreeSet;

use crate::model::Template;
use crate::sql::Dialect;
use crate::sql::Query;
use crate::sql::TableName;

/// The tables that a query names, in the dialect's case, and why it is opaque if it is.
pub(super) fn read(query: &Template, dialect: Dialect) -> (BTreeSet<TableName>, Option<String>) {
    let query = Query::parse(&query.for_analysis(dialect), dialect);
    let mut tables = query.tables().clone();
    // What `@this_model` stands for while the query is analysed.
    tables.retain(|table| !table.name.eq_ignore_ascii_case("siding_this_model"));
    (tables, query.opaque_reason().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctes_and_markers_are_no_tables() {
        let text = "WITH a AS (SELECT * FROM Raw.Orders o, raw.\"X\") SELECT @start_epoch, * FROM a \
                    JOIN @this_model USING (c) WHERE d BETWEEN @start_ds AND @end_date";
        let (tables, opaque) = read(&Template::new(text), Dialect::DuckDb);
        let names: Vec<String> = tables.iter().map(TableName::plain).collect();
        assert_eq!(names, ["raw.orders", "raw.x"]);
        assert_eq!(opaque, None);
    }
}
