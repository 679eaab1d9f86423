//! What a table has besides rows: how a copy gets it, and how the table that takes another one's name gets what others
//! have put on that.

use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::engine::Readers;
use crate::engine::postgres::Postgres;
use crate::engine::postgres::names::shortened;
use crate::engine::postgres::readers::at;
use crate::engine::postgres::readers::is_true;
use crate::engine::postgres::readers::texts;
use crate::sql::TableName;
use crate::sql::quote_string;

/// The object of a name, as text of SQL.
fn regclass(table: &TableName) -> String {
    format!(
        "{}::pg_catalog.regclass",
        quote_string(&shortened(&table.to_string()))
    )
}

/// Gives `to` the defaults, NOT NULLs, constraints, indexes and comments of `from`, as far as it has the columns and does
/// not have them already. An index whose name is taken in the schema gets another one.
const COPY: &str = "DO $siding$ DECLARE
    source regclass := {from}; target regclass := {to}; found record; called text; place text;
BEGIN
    SELECT quote_ident(nspname) INTO place FROM pg_namespace AS there
        JOIN pg_class AS class ON class.relnamespace = there.oid WHERE class.oid = target;
    FOR found IN
        SELECT it.attname, it.attnotnull, it.attgenerated, pg_get_expr(adbin, adrelid) AS usual,
               col_description(source, it.attnum) AS said
        FROM pg_attribute AS it
        JOIN pg_attribute AS copy ON copy.attrelid = target AND copy.attname = it.attname AND NOT copy.attisdropped
        LEFT JOIN pg_attrdef ON adrelid = source AND adnum = it.attnum
        WHERE it.attrelid = source AND it.attnum > 0 AND NOT it.attisdropped
    LOOP
        IF found.usual IS NOT NULL AND found.attgenerated = '' THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', target, found.attname, found.usual);
        END IF;
        IF found.attnotnull THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', target, found.attname);
        END IF;
        IF found.said IS NOT NULL THEN
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', target, found.attname, found.said);
        END IF;
    END LOOP;
    IF obj_description(source, 'pg_class') IS NOT NULL THEN
        EXECUTE format('COMMENT ON TABLE %s IS %L', target, obj_description(source, 'pg_class'));
    END IF;
    FOR found IN
        SELECT conname, contype, pg_get_constraintdef(oid) AS text FROM pg_constraint
        WHERE conrelid = source AND contype IN ('c', 'p', 'u', 'x', 'f')
          AND pg_get_constraintdef(oid) NOT IN (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = target)
        ORDER BY contype = 'f', conname
    LOOP
        called := found.conname;
        IF found.contype IN ('p', 'u', 'x') AND to_regclass(place || '.' || quote_ident(called)) IS NOT NULL THEN
            called := left(called, 48) || '_' || target::oid;
        END IF;
        BEGIN
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', target, called, found.text);
        EXCEPTION WHEN undefined_column THEN NULL;
        END;
    END LOOP;
    FOR found IN
        SELECT DISTINCT ON (indisunique, tail) relname, indisunique, tail FROM (
            SELECT class.relname, indisunique,
                   substr(pg_get_indexdef(indexrelid), position(' USING ' IN pg_get_indexdef(indexrelid))) AS tail
            FROM pg_index JOIN pg_class AS class ON class.oid = indexrelid
            WHERE indrelid = source AND indexrelid NOT IN (SELECT conindid FROM pg_constraint WHERE conrelid = source)
        ) AS indexes
        WHERE tail NOT IN (
            SELECT substr(pg_get_indexdef(indexrelid), position(' USING ' IN pg_get_indexdef(indexrelid)))
            FROM pg_index WHERE indrelid = target)
        ORDER BY indisunique, tail, length(relname), relname
    LOOP
        called := found.relname;
        IF to_regclass(place || '.' || quote_ident(called)) IS NOT NULL THEN
            called := left(called, 48) || '_' || target::oid;
        END IF;
        BEGIN
            EXECUTE format('CREATE %s INDEX %I ON %s %s', CASE WHEN found.indisunique THEN 'UNIQUE' ELSE '' END,
                           called, target, found.tail);
        EXCEPTION WHEN undefined_column THEN NULL;
        END;
    END LOOP;
END $siding$";

/// The statements that give `to`, which has the rows of `from`, what else that has.
pub(super) fn copy(from: &TableName, to: &TableName) -> Vec<String> {
    let text = COPY.replace("{from}", &regclass(from));
    vec![text.replace("{to}", &regclass(to))]
}

/// Takes from whatever has a name all rights that others have on it, and its policies: those of what had the name before
/// come instead. A right that was taken away since does not come back with an older table.
const BARE: &str = "DO $siding$ DECLARE target regclass := {table}; found record; BEGIN
    FOR found IN
        SELECT DISTINCT grantee FROM pg_class AS class, LATERAL (
            SELECT (aclexplode(relacl)).grantee
            UNION ALL
            SELECT (aclexplode(attacl)).grantee FROM pg_attribute WHERE attrelid = class.oid
        ) AS rights
        WHERE class.oid = target AND grantee <> relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', target,
                       CASE WHEN found.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(found.grantee)) END);
    END LOOP;
    FOR found IN SELECT polname FROM pg_policy WHERE polrelid = target LOOP
        EXECUTE format('DROP POLICY %I ON %s', found.polname, target);
    END LOOP;
    IF (SELECT relrowsecurity FROM pg_class WHERE oid = target) THEN
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', target);
    END IF;
    IF (SELECT relforcerowsecurity FROM pg_class WHERE oid = target) THEN
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', target);
    END IF;
END $siding$";

/// The statement after which nobody but its owner has rights on `table`.
pub(super) fn bare(table: &TableName) -> String {
    BARE.replace("{table}", &regclass(table))
}

/// Gives a table that was moved into a schema the rights that its owner's new tables have there by default.
const USUAL: &str = "DO $siding$ DECLARE target regclass := {table}; found record; BEGIN
    FOR found IN
        SELECT rights.grantee, rights.privilege_type, rights.is_grantable
        FROM pg_class AS class
        JOIN pg_default_acl ON defaclrole = relowner AND defaclnamespace = relnamespace AND defaclobjtype = 'r',
        LATERAL aclexplode(defaclacl) AS rights
        WHERE class.oid = target AND rights.grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s%s', found.privilege_type, target,
                       CASE WHEN found.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(found.grantee)) END,
                       CASE WHEN found.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $siding$";

/// The statement that gives `table` what its schema gives to new tables.
pub(super) fn usual(table: &TableName) -> String {
    USUAL.replace("{table}", &regclass(table))
}

/// A right on `table`, or on a column of it that is there; `column` is quoted.
pub(super) fn grant(
    table: &TableName,
    privilege: &str,
    column: &str,
    role: &str,
    may_grant: bool,
) -> String {
    let option = if may_grant { " WITH GRANT OPTION" } else { "" };
    if column.is_empty() {
        return format!("GRANT {privilege} ON {table} TO {role}{option}");
    }
    let grant = format!(
        "GRANT {privilege} ({column}) ON {} TO {role}{option}",
        shortened(&table.to_string())
    );
    format!(
        "DO $siding$ BEGIN
             IF EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = {} AND quote_ident(attname) = {}
                        AND NOT attisdropped) THEN
                 EXECUTE {};
             END IF;
         END $siding$",
        regclass(table),
        quote_string(column),
        quote_string(&grant)
    )
}

/// A query whose `text` are the statements that give `view`, a quoted name, the rights that others have on it now; those on
/// columns do not come along, for it is to have others.
pub(super) fn kept_rights(view: &str) -> String {
    let view = quote_string(&shortened(view));
    format!(
        "SELECT format('GRANT %s ON %s TO %s%s', rights.privilege_type, {view},
                CASE WHEN rights.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(rights.grantee)) END,
                CASE WHEN rights.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS text
         FROM pg_catalog.pg_class AS class, LATERAL aclexplode(relacl) AS rights
         WHERE class.oid = to_regclass({view}) AND rights.grantee <> relowner"
    )
}

const OWNERS: &str = "
    SELECT place, relrowsecurity AS is_guarded, relforcerowsecurity AS for_all,
           CASE WHEN relowner = current_user::regrole THEN '' ELSE quote_ident(pg_get_userbyid(relowner)) END AS owner
    FROM asked JOIN pg_catalog.pg_class AS class ON class.oid = asked.oid
    ORDER BY place";

const POLICIES: &str = "
    SELECT place, format('CREATE POLICY %I', policyname) AS head,
           format('AS %s FOR %s TO %s%s%s', permissive, cmd,
                  (SELECT string_agg(CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END, ', ')
                   FROM unnest(roles) AS of_policy(role)),
                  ' USING (' || qual || ')', ' WITH CHECK (' || with_check || ')') AS tail
    FROM asked JOIN pg_catalog.pg_class AS class ON class.oid = asked.oid
    JOIN pg_catalog.pg_namespace AS there ON there.oid = relnamespace
    JOIN pg_catalog.pg_policies ON schemaname = nspname AND tablename = relname
    ORDER BY place, policyname";

const TRIGGERS: &str = "
    SELECT place, tgname::text AS name, pg_get_triggerdef(trigger.oid) AS text
    FROM asked JOIN pg_catalog.pg_trigger AS trigger ON tgrelid = asked.oid
    WHERE NOT tgisinternal
    ORDER BY place, tgname";

/// What is tied to the table itself and cannot be given to another one.
const TIED: &str = "
    SELECT place, format('the foreign key `%s` of `%s`', conname, conrelid::regclass) AS what
    FROM asked JOIN pg_catalog.pg_constraint ON confrelid = asked.oid AND contype = 'f' AND conrelid <> confrelid
    UNION ALL
    SELECT place, format('the publication `%s`', pubname)
    FROM asked JOIN pg_catalog.pg_publication_rel ON prrelid = asked.oid
    JOIN pg_catalog.pg_publication AS publication ON publication.oid = prpubid
    UNION ALL
    SELECT place, format('`%s`, which inherits from it', inhrelid::regclass)
    FROM asked JOIN pg_catalog.pg_inherits ON inhparent = asked.oid
    ORDER BY place, what";

/// Adds to `readers` what others have put on each of `tables` besides rights; `asked` names them in SQL.
pub(super) async fn add_rules(
    engine: &Postgres,
    asked: &str,
    tables: &[TableName],
    readers: &mut [Readers],
) -> Result<(), EngineError> {
    let rows = engine.query(&format!("{asked}{POLICIES}")).await?;
    let (heads, tails) = (texts(&rows, "head")?, texts(&rows, "tail")?);
    for (index, place) in texts(&rows, "place")?.iter().enumerate() {
        let Some(place) = at(place, tables) else {
            continue;
        };
        let (head, table, tail) = (&heads[index], &tables[place], &tails[index]);
        let rights = &mut readers[place].rights;
        rights.push(format!("{head} ON {table} {tail}"));
    }
    let rows = engine.query(&format!("{asked}{TRIGGERS}")).await?;
    let (names, triggers) = (texts(&rows, "name")?, texts(&rows, "text")?);
    for (index, place) in texts(&rows, "place")?.iter().enumerate() {
        let Some(place) = at(place, tables) else {
            continue;
        };
        readers[place].needs_table = true;
        readers[place].rights.push(format!(
            "DO $siding$ BEGIN
                 IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = {} AND tgname = {}) THEN
                     EXECUTE {};
                 END IF;
             END $siding$",
            regclass(&tables[place]),
            quote_string(&names[index]),
            quote_string(&triggers[index])
        ));
    }
    let rows = engine.query(&format!("{asked}{TIED}")).await?;
    let what = texts(&rows, "what")?;
    for (index, place) in texts(&rows, "place")?.iter().enumerate() {
        if let Some(place) = at(place, tables) {
            readers[place].tied.push(what[index].clone());
        }
    }
    let rows = engine.query(&format!("{asked}{OWNERS}")).await?;
    let (guarded, for_all) = (texts(&rows, "is_guarded")?, texts(&rows, "for_all")?);
    let owners = texts(&rows, "owner")?;
    for (index, place) in texts(&rows, "place")?.iter().enumerate() {
        let Some(place) = at(place, tables) else {
            continue;
        };
        let table = &tables[place];
        let readers = &mut readers[place];
        let mut alter = |what: &str| readers.rights.push(format!("ALTER TABLE {table} {what}"));
        if is_true(&for_all[index]) {
            alter("FORCE ROW LEVEL SECURITY");
        }
        if is_true(&guarded[index]) {
            alter("ENABLE ROW LEVEL SECURITY");
            readers.needs_table = true;
        }
        // Last, for the right to do the rest goes with it.
        if !owners[index].is_empty() {
            let owner = &owners[index];
            let alter = format!("ALTER TABLE {table} OWNER TO {owner}");
            readers.rights.push(alter);
        }
    }
    Ok(())
}
