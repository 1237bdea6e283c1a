//! Files of the user: pipeline files and what they load.

pub(crate) mod dry_run;
pub(crate) mod inputs;
pub(crate) mod text_file;
