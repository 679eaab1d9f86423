//! The names of physical tables.

use md5::Digest as _;

use crate::model::ModelName;
use crate::model::Placement;
use crate::model::TableNaming;
use crate::snapshot::Version;
use crate::sql::TableName;

/// `siding__<schema>.<schema>__<table>__<version>`, in the model's catalog.
///
/// Only letters, digits and `_` come through in the last part, as in the reference (engine.md 1.7); a hash of the
/// name then keeps `"a b"` and `"a-b"` apart, whose versions may be the same.
pub fn physical_table(name: &ModelName, version: &Version) -> TableName {
    placed_table(name, version, &Placement::default())
}

/// The table of `name` at `version` that is made where `placement` says.
///
/// Two models never get one name, even where their schemas are mapped to one and their contents, and so their versions,
/// are the same: where the name does not say which model it is of, a hash does.
pub fn placed_table(name: &ModelName, version: &Version, placement: &Placement) -> TableName {
    let (schema, mut table) = (clean(name.schema()), clean(name.table()));
    let usual_schema = format!("siding__{}", name.schema());
    let both = format!("{schema}__{table}");
    let is_shared = placement
        .schema
        .as_ref()
        .is_some_and(|own| *own != usual_schema);
    let is_clear = match placement.naming {
        TableNaming::SchemaAndTable => {
            let split = Some(schema.len());
            schema == name.schema() && both.find("__") == split && both.rfind("__") == split
        }
        TableNaming::TableOnly => false,
        TableNaming::HashMd5 => true,
    };
    if is_shared && !is_clear {
        table = format!(
            "{table}_{}",
            short_hash(&format!("{}.{}", name.schema(), name.table()))
        );
    } else if table != name.table() {
        table = format!("{table}_{}", short_hash(name.table()));
    }
    let schema_name = placement.schema.clone().unwrap_or(usual_schema);
    let last = match placement.naming {
        TableNaming::SchemaAndTable => format!("{schema}__{table}__{version}"),
        TableNaming::TableOnly => format!("{table}__{version}"),
        TableNaming::HashMd5 => {
            let whole = format!("{name}.{schema_name}.{schema}__{table}__{version}");
            let aside = if version.0.ends_with("__dev") {
                "__dev"
            } else {
                ""
            };
            format!(
                "siding_md5__{}{aside}",
                hex::encode(md5::Md5::digest(whole))
            )
        }
    };
    TableName {
        catalog: name.catalog().map(str::to_owned),
        schema: Some(schema_name),
        name: last,
    }
}

fn clean(text: &str) -> String {
    let clean = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    };
    text.chars().map(clean).collect()
}

fn short_hash(text: &str) -> String {
    hex::encode(&blake3::hash(text.as_bytes()).as_bytes()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(name: &str, schema: Option<&str>, naming: TableNaming) -> String {
        let placement = Placement {
            schema: schema.map(str::to_owned),
            naming,
        };
        placed_table(
            &name.parse().unwrap(),
            &Version("v1".to_owned()),
            &placement,
        )
        .plain()
    }

    #[test]
    fn tables_are_named_as_the_project_says() {
        let table = |naming| placed("wh.db.orders", None, naming);
        assert_eq!(
            table(TableNaming::SchemaAndTable),
            "wh.siding__db.db__orders__v1"
        );
        assert_eq!(table(TableNaming::TableOnly), "wh.siding__db.orders__v1");
        assert!(table(TableNaming::HashMd5).starts_with("wh.siding__db.siding_md5__"));
        assert_eq!(
            placed("db.orders", Some("lake"), TableNaming::SchemaAndTable),
            "lake.db__orders__v1"
        );
    }

    #[test]
    fn models_whose_schemas_are_mapped_to_one_keep_tables_of_their_own() {
        let names = [
            "a.b__c", "a__b.c", "a.b", "c.b", "a_._b", "a._b", "a_.b", "a__.b", "a.__b",
            "\"a-\".b", "\"a \".b", "a.\"b-\"", "a.\"b \"", "a.b_",
        ];
        for naming in [
            TableNaming::SchemaAndTable,
            TableNaming::TableOnly,
            TableNaming::HashMd5,
        ] {
            let tables = names.map(|name| placed(name, Some("one"), naming));
            let distinct: std::collections::BTreeSet<&String> = tables.iter().collect();
            assert_eq!(distinct.len(), names.len(), "{tables:?}");
        }
    }
}
