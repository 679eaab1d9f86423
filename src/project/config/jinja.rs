//! The templates in a configuration file.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Environment;
use minijinja::Value;

use crate::diagnostic::Diagnostic;
use crate::project::LoadOptions;
use crate::project::yaml;

/// `text`, the content of `file`, with its expressions evaluated: `env_var`, `user` and `var`.
pub(super) fn render(
    file: &str,
    text: &str,
    options: &LoadOptions,
) -> Result<String, Box<Diagnostic>> {
    if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
        return Ok(text.to_owned());
    }
    let mut environment = Environment::new();
    let variables: Arc<BTreeMap<String, String>> = Arc::new(options.environment.clone());
    environment.add_function("env_var", move |name: &str, default: Option<Value>| {
        match variables.get(name) {
            Some(value) => Value::from(value.as_str()),
            // What the reference prints for a variable that is not set.
            None => default.unwrap_or_else(|| Value::from("None")),
        }
    });
    let user = options.user.clone();
    environment.add_function("user", move || user.clone());
    environment.add_function("var", |_name: &str, default: Option<Value>| {
        default.unwrap_or_else(|| Value::from("None"))
    });
    let rendered = environment
        .template_from_str(text)
        .and_then(|template| template.render(()));
    rendered.map_err(|error| {
        let detail = error.detail().map(str::to_owned);
        let detail = detail.unwrap_or_else(|| error.kind().to_string());
        let diagnostic = Diagnostic::error("template-syntax", format!("the template: {detail}"));
        let place = yaml::Place {
            line: error.line().unwrap_or(0),
            column: usize::from(error.line().is_some()),
        };
        Box::new(yaml::at(diagnostic, file, text, place))
    })
}
