//! A project of any size: layers of models that read each other, about five columns each, with a CTE, a join and
//! an aggregate.

use std::fs;
use std::path::Path;

/// Models of one layer.
const WIDTH: usize = 50;

/// Writes a project of `models` models into `folder`.
pub(crate) fn write(folder: &Path, models: usize) {
    fs::create_dir_all(folder.join("models")).expect("the folder can be made");
    let config = "gateways:\n  local:\n    connection:\n      type: duckdb\n      database: wh.duckdb\n    state_connection:\n      type: sqlite\n      database: state.db\ndefault_gateway: local\nmodel_defaults:\n  dialect: duckdb\n  start: 2024-01-01\n";
    fs::write(folder.join("config.yaml"), config).expect("the folder can be written");
    for index in 0..models {
        fs::write(folder.join(format!("models/m{index}.sql")), model(index))
            .expect("the folder can be written");
    }
}

fn model(index: usize) -> String {
    let layer = index / WIDTH;
    let header = format!(
        "MODEL (\n  name layer{layer}.m{index},\n  kind FULL,\n  owner bench,\n  grain id\n);\n\n"
    );
    if layer == 0 {
        return format!(
            "{header}SELECT\n  i AS id,\n  i % 7 AS kind,\n  i * {index} AS amount,\n  'name ' || i AS label,\n  DATE '2024-01-01' + i::INT AS day\nFROM range(10) AS t(i)\n"
        );
    }
    let above = layer - 1;
    let left = above * WIDTH + index % WIDTH;
    let right = above * WIDTH + (index * 7 + 3) % WIDTH;
    format!(
        "{header}WITH totals AS (\n  SELECT kind, SUM(amount) AS amount, COUNT(*) AS n -- per kind\n  FROM layer{above}.m{right}\n  GROUP BY kind\n)\n\
         SELECT\n  base.id,\n  base.kind,\n  (base.amount + COALESCE(totals.amount, 0)) % 1000003 AS amount,\n  base.label,\n  base.day\nFROM layer{above}.m{left} AS base\nLEFT JOIN totals ON totals.kind = base.kind\nWHERE base.amount >= 0\n"
    )
}
