//! The house rules that no linter knows, checked over the files of the workspace.
//!
//! Every rule is a function over text that lists what breaks it as `file:line: rule`. Beside the test
//! that reads the real files stands one that shows the rule failing.

#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/template.rs"]
mod template;
#[path = "tidy/tree.rs"]
mod tree;
