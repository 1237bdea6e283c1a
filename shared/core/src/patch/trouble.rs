//! Why a fix cannot be made in a record.

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error(
        "the record would become several: put a text with a line end in quotes, or drop the line end"
    )]
    Several,
    #[error("nothing would be left of the record: a row is corrected, not removed")]
    Nothing,
    #[error("the new record is over {0} bytes")]
    TooLarge(usize),
    #[error("the new text needs quotes, and the pipeline's csv.quote is off")]
    NoQuote,
    #[error("no text means NULL: the pipeline's csv.null is empty")]
    NoNull,
    #[error("the record has a field {0:?} already")]
    NameTaken(String),
    #[error(
        "values are masked in the export, and where they belong cannot be told in a record of another \
         shape: correct it by a patch"
    )]
    Masked,
    #[error("the record has no field that a new value could go into: correct raw_data")]
    NoField,
    #[error("the archive holds only the first {0} bytes of the record: correct it by a patch")]
    Cut(usize),
}
