//! From a file to its PolicyTests: finds the documents, decodes them, and reports every error with its
//! position.

use std::path::Path;

use bailey_source::files;
use bailey_source::parse::decode::decode;
use bailey_source::parse::node::{FieldPath, Node};
use bailey_source::parse::parse_documents;
use bailey_source::{Diagnostic, ReadLimits, Severity};

use super::PolicyTest;
use super::case::read_case;
use super::field_error::FieldError;
use super::raw::RawTest;

/// Reads the PolicyTests of a file. Other objects in the file are skipped.
///
/// # Errors
/// Every error of the file, in the order of the positions.
pub fn read_tests(file: &Path) -> Result<Vec<PolicyTest>, Vec<Diagnostic>> {
    let error = |message: String, pos| Diagnostic {
        severity: Severity::Error,
        file: Some(file.to_owned()),
        pos,
        object: None,
        message,
    };

    let limits = ReadLimits::default();
    let text = files::read_text(file, limits.file_bytes).map_err(|m| vec![error(m, None)])?;
    let documents =
        parse_documents(&text, &limits).map_err(|e| vec![error(e.message, Some(e.pos))])?;

    // A broken test does not hide the errors of the next one.
    let mut tests = Vec::new();
    let mut errors = Vec::new();
    for document in documents.iter().flat_map(list_objects) {
        match classify(document) {
            ObjectKind::Other => continue,
            ObjectKind::Unknown(kind) => {
                let message = format!("no matches for kind {kind:?} in bailey.dev");
                errors.push(error(message, Some(document.pos)));
                continue;
            }
            ObjectKind::PolicyTest => {}
        }
        match read_test(file, document) {
            Ok(test) => tests.push(test),
            Err(found) => errors.extend(found.into_iter().map(|found| {
                let FieldError {
                    path,
                    message,
                    at_key,
                } = found;
                let pos = document.locate(&path, at_key);
                error(format!("PolicyTest: {path}: {message}"), Some(pos))
            })),
        }
    }

    errors.sort_by_key(|error| error.pos);
    if errors.is_empty() {
        Ok(tests)
    } else {
        Err(errors)
    }
}

/// The objects of a list, or the document itself.
fn list_objects(document: &Node) -> Vec<&Node> {
    let is_list = document
        .get("kind")
        .and_then(Node::as_str)
        .is_some_and(|k| k.ends_with("List"));
    match document.get("items").and_then(Node::as_sequence) {
        Some(items) if is_list => items.iter().collect(),
        _ => vec![document],
    }
}

/// Relevance of an object for this reader.
enum ObjectKind<'a> {
    PolicyTest,
    /// A kind of `bailey.dev` that does not exist; probably a typing error.
    Unknown(&'a str),
    Other,
}

fn classify(document: &Node) -> ObjectKind<'_> {
    let text = |key| document.get(key).and_then(Node::as_str).unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        (_, "PolicyTest") => ObjectKind::PolicyTest,
        ("bailey.dev/v1", "Workload") => ObjectKind::Other,
        (version, kind) if version.starts_with("bailey.dev/") => ObjectKind::Unknown(kind),
        _ => ObjectKind::Other,
    }
}

fn read_test(file: &Path, document: &Node) -> Result<PolicyTest, Vec<FieldError>> {
    let mut errors = Vec::new();
    let version = document
        .get("apiVersion")
        .and_then(Node::as_str)
        .unwrap_or_default();
    if version != "bailey.dev/v1" {
        let message =
            format!("Unsupported value: {version:?}: supported values: \"bailey.dev/v1\"");
        errors.push(FieldError::of_value(
            FieldPath::of(&["apiVersion"]),
            message,
        ));
    }

    // Wrong types and unknown fields. The reader of objects checks `spec.inline`.
    let decoded = decode::<RawTest>(document);
    let wrong_types: Vec<FieldPath> = decoded.wrong.iter().map(|(path, _)| path.clone()).collect();
    let wrong = decoded.wrong.into_iter();
    errors.extend(wrong.map(|(path, message)| FieldError::of_value(path, message)));
    let inline = FieldPath::of(&["spec", "inline"]);
    let unknown = decoded.unknown.into_iter();
    let unknown = unknown.filter(|path| !inline.contains(path));
    errors.extend(unknown.map(|path| FieldError {
        path,
        message: "unknown field".to_owned(),
        at_key: true,
    }));
    let Some(raw) = decoded.value else {
        return Err(errors);
    };

    // Values.
    let spec = FieldPath::of(&["spec"]);
    if raw.spec.cases.is_empty() {
        let message = "Required value: at least one case".to_owned();
        errors.push(FieldError::of_value(spec.key("cases"), message));
    }
    let mut cases = Vec::with_capacity(raw.spec.cases.len());
    for (index, case) in raw.spec.cases.into_iter().enumerate() {
        cases.extend(read_case(
            case,
            &spec.key("cases").index(index),
            &mut errors,
        ));
    }
    remove_consequences(&mut errors, &wrong_types);
    if !errors.is_empty() {
        return Err(errors);
    }

    let directory = file.parent().unwrap_or_else(|| Path::new(""));
    let objects = raw.spec.objects.iter();
    let inline = document.get("spec").and_then(|spec| spec.get("inline"));
    let inline = inline.and_then(Node::as_sequence);
    Ok(PolicyTest {
        file: file.to_owned(),
        name: raw
            .metadata
            .name
            .unwrap_or_else(|| file.display().to_string()),
        objects: objects.map(|path| directory.join(path)).collect(),
        inline: inline.unwrap_or_default().to_vec(),
        cases,
    })
}

/// Keeps one error per field of a wrong type: removes later errors of that field and errors of the fields
/// that contain it. A field of a wrong type decodes as absent, so its parent seems incomplete too.
fn remove_consequences(errors: &mut Vec<FieldError>, wrong_types: &[FieldPath]) {
    let paths: Vec<FieldPath> = errors.iter().map(|error| error.path.clone()).collect();
    let mut at = 0;
    errors.retain(|error| {
        at += 1;
        let has_wrong_type = wrong_types.contains(&error.path);
        let is_repeated = has_wrong_type && paths[..at - 1].contains(&error.path);
        let is_consequence =
            !has_wrong_type && wrong_types.iter().any(|path| error.path.contains(path));
        !is_repeated && !is_consequence
    });
}
