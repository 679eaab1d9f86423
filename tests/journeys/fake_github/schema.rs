//! GitHub's own descriptions, and whether a request, an answer or a webhook fits them.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;

use jsonschema::Draft;
use jsonschema::Validator;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// One description: the REST API, or the webhooks.
pub(crate) struct Description {
    root: Value,
    /// The key of `root` that references point into.
    shared: &'static str,
    operations: Vec<Operation>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// One thing that the REST API can do.
pub(crate) struct Operation {
    method: String,
    template: String,
    /// GitHub's name for it, as `pulls/merge`.
    pub(crate) id: String,
    definition: Value,
}

/// The REST operations that Siding may call.
pub(crate) fn rest() -> &'static Description {
    static REST: OnceLock<Description> = OnceLock::new();
    REST.get_or_init(|| {
        let text = include_str!("../../../fixtures/github/openapi.json");
        let mut root: Value = serde_json::from_str(text).expect("the vendored description is JSON");
        nullable_to_null(&mut root);
        let mut operations = Vec::new();
        for (template, methods) in root["paths"].as_object().expect("a description has paths") {
            for (method, definition) in methods.as_object().expect("a path has methods") {
                operations.push(Operation {
                    method: method.to_uppercase(),
                    template: template.clone(),
                    id: definition["operationId"]
                        .as_str()
                        .expect("an operation has a name")
                        .to_owned(),
                    definition: definition.clone(),
                });
            }
        }
        Description {
            root,
            shared: "components",
            operations,
            validators: Mutex::default(),
        }
    })
}

/// The webhooks that Siding reads.
pub(crate) fn webhooks() -> &'static Description {
    static WEBHOOKS: OnceLock<Description> = OnceLock::new();
    WEBHOOKS.get_or_init(|| {
        let text = include_str!("../../../fixtures/github/webhooks-schema.json");
        Description {
            root: serde_json::from_str(text).expect("the vendored schema is JSON"),
            shared: "definitions",
            operations: Vec::new(),
            validators: Mutex::default(),
        }
    })
}

impl Description {
    /// The operation behind a method and a path, with the path's parameters.
    pub(crate) fn operation(
        &self,
        method: &str,
        path: &str,
    ) -> Option<(&Operation, BTreeMap<String, String>)> {
        self.operations
            .iter()
            .filter(|operation| operation.method == method)
            .find_map(|operation| Some((operation, path_parameters(&operation.template, path)?)))
    }

    /// What is wrong with a request, part by part; empty when nothing is.
    pub(crate) fn faults_of_request(
        &self,
        operation: &Operation,
        path: &BTreeMap<String, String>,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Vec<String> {
        let parameters: Vec<&Value> = operation.definition["parameters"]
            .as_array()
            .map(|parameters| {
                parameters
                    .iter()
                    .map(|parameter| self.resolve(parameter))
                    .collect()
            })
            .unwrap_or_default();
        let mut faults = Vec::new();
        let given = path.iter().map(|(name, value)| ("path", name, value));
        let given = given.chain(query.iter().map(|(name, value)| ("query", name, value)));
        for (place, name, value) in given {
            let known = parameters
                .iter()
                .find(|parameter| parameter["in"] == place && parameter["name"] == name.as_str());
            let Some(parameter) = known else {
                faults.push(format!("unknown {place} parameter `{name}`"));
                continue;
            };
            let value = match parameter["schema"]["type"].as_str() {
                Some("integer") => value
                    .parse::<i64>()
                    .map_or(json!(value), |number| json!(number)),
                _ => json!(value),
            };
            faults.extend(self.faults(
                &parameter["schema"],
                &value,
                &format!("{place} parameter `{name}`"),
            ));
        }

        let schema =
            self.resolve(&operation.definition["requestBody"])["content"]["application/json"]
                .get("schema");
        match (schema, body) {
            (Some(schema), Some(body)) => {
                faults.extend(self.faults(schema, body, "body"));
                faults.extend(
                    self.strangers(schema, body)
                        .into_iter()
                        .map(|name| format!("unknown property `{name}`")),
                );
            }
            // A body of `{}` where none is described is what clients send with an empty POST.
            (None, Some(body)) if body.as_object().is_none_or(|body| !body.is_empty()) => {
                faults.push("a body where GitHub expects none".to_owned());
            }
            (Some(_), None) if operation.definition["requestBody"]["required"] == true => {
                faults.push("no body".to_owned());
            }
            (_, None) | (None, Some(_)) => {}
        }
        faults
    }

    /// The schema of an operation's answer with this status; `Err` if GitHub does not document it.
    pub(crate) fn answer_schema<'a>(
        &'a self,
        operation: &'a Operation,
        status: u16,
    ) -> Result<Option<&'a Value>, String> {
        let responses = &operation.definition["responses"];
        match responses.get(status.to_string()) {
            Some(response) => {
                Ok(self.resolve(response)["content"]["application/json"].get("schema"))
            }
            // Any call can be refused for its token or its rate; GitHub does not repeat that for each.
            None if matches!(status, 401 | 403 | 404 | 422 | 429) => {
                Ok(self.root.pointer("/components/schemas/basic-error"))
            }
            None => Err(format!("{} does not answer {status}", operation.id)),
        }
    }

    /// The schema of a webhook's body.
    pub(crate) fn webhook_schema(&self, event: &str, action: Option<&str>) -> Option<&Value> {
        self.root["definitions"].get(format!("{event}${}", action.unwrap_or("event")))
    }

    /// What is wrong with a value, under the name of `what`.
    pub(crate) fn faults(&self, schema: &Value, value: &Value, what: &str) -> Vec<String> {
        let validator = self.validator(schema);
        validator
            .iter_errors(value)
            .take(5)
            .map(|error| {
                let message: String = error.to_string().chars().take(300).collect();
                format!("{what} {}: {message}", error.instance_path())
            })
            .collect()
    }

    /// Paths of the properties of a value that its schema does not name.
    pub(crate) fn strangers(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.walk(&[schema], &mut value.clone(), "", &mut found);
        found
    }

    /// The value without the properties that its schema does not name.
    pub(crate) fn pruned(&self, schema: &Value, mut value: Value) -> Value {
        self.walk(&[schema], &mut value, "", &mut Vec::new());
        value
    }

    fn walk(&self, schemas: &[&Value], value: &mut Value, path: &str, removed: &mut Vec<String>) {
        let mut alternatives = Vec::new();
        for schema in schemas {
            self.flatten(schema, &mut alternatives);
        }
        match value {
            Value::Object(fields) => {
                let known: Vec<&Map<String, Value>> = alternatives
                    .iter()
                    .filter_map(|schema| schema["properties"].as_object())
                    .collect();
                let free_form = known.is_empty()
                    || alternatives.iter().any(|schema| {
                        schema
                            .get("additionalProperties")
                            .is_some_and(|more| *more != false)
                    });
                let names: Vec<String> = fields.keys().cloned().collect();
                for name in names {
                    let next: Vec<&Value> = known
                        .iter()
                        .filter_map(|properties| properties.get(&name))
                        .collect();
                    let path = format!("{path}/{name}");
                    if next.is_empty() && !free_form {
                        fields.remove(&name);
                        removed.push(path);
                    } else if let Some(field) = fields.get_mut(&name) {
                        self.walk(&next, field, &path, removed);
                    }
                }
            }
            Value::Array(items) => {
                let next: Vec<&Value> = alternatives
                    .iter()
                    .filter_map(|schema| schema.get("items"))
                    .collect();
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(&next, item, &format!("{path}/{index}"), removed);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The schema itself and all that it is put together from.
    fn flatten<'a>(&'a self, schema: &'a Value, into: &mut Vec<&'a Value>) {
        let schema = self.resolve(schema);
        into.push(schema);
        for key in ["allOf", "anyOf", "oneOf"] {
            for part in schema[key].as_array().into_iter().flatten() {
                self.flatten(part, into);
            }
        }
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.resolve(
                self.root
                    .pointer(reference.trim_start_matches('#'))
                    .expect("the script follows every reference"),
            ),
            None => value,
        }
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let key = schema.to_string();
        let mut validators = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let validator = validators.entry(key).or_insert_with(|| {
            let mut document = json!({ "allOf": [schema] });
            document[self.shared] = self.root[self.shared].clone();
            let validator = jsonschema::options()
                .with_draft(Draft::Draft7)
                .should_validate_formats(true)
                .should_ignore_unknown_formats(true)
                .build(&document)
                .unwrap_or_else(|error| panic!("GitHub's schema cannot be used: {error}"));
            Arc::new(validator)
        });
        Arc::clone(validator)
    }
}

fn path_parameters(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let (template, path): (Vec<&str>, Vec<&str>) =
        (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (expected, given) in template.into_iter().zip(path) {
        match expected
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) => {
                parameters.insert(name.to_owned(), percent_decoded(given));
            }
            None if expected == given => {}
            None => return None,
        }
    }
    Some(parameters)
}

/// The text behind `%5B` and the like.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// OpenAPI 3.0 says `nullable`, JSON Schema says `null`.
fn nullable_to_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(nullable_to_null),
        Value::Object(fields) => {
            fields.values_mut().for_each(nullable_to_null);
            // A property that is called `nullable` is an object, not a flag.
            if fields.get("nullable") != Some(&Value::Bool(true)) {
                return;
            }
            fields.remove("nullable");
            if let Some(Value::Array(values)) = fields.get_mut("enum") {
                values.push(Value::Null);
            }
            match fields.get("type").cloned() {
                Some(Value::String(kind)) => {
                    fields.insert("type".to_owned(), json!([kind, "null"]));
                }
                _ => {
                    let rest = std::mem::take(fields);
                    fields.insert("anyOf".to_owned(), json!([rest, { "type": "null" }]));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
