//! Which columns go into a table, as what, in which order.

use arrow_schema::{DataType, Schema, TimeUnit};

use crate::pipeline::{Pipeline, PostgresSink};
use crate::sql::quote;

/// How a column's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// bool
    Bool,
    /// int2: int8, int16 and uint8 of a contract
    Int2,
    /// int4: int32 and uint16
    Int4,
    /// int8: int64 and uint32
    Int8,
    /// numeric: uint64
    UInt8,
    /// float4
    Float4,
    /// float8
    Float8,
    /// numeric with this precision and scale
    Numeric(u8, i8),
    /// text
    Text,
    /// date
    Date,
    /// time
    Time,
    /// timestamptz
    Timestamptz,
}

impl Kind {
    /// `None` for what no column of a contract is.
    fn of(data_type: &DataType) -> Option<Kind> {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a contract has no other types")]
        Some(match data_type {
            DataType::Boolean => Kind::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Kind::Int2,
            DataType::Int32 | DataType::UInt16 => Kind::Int4,
            DataType::Int64 | DataType::UInt32 => Kind::Int8,
            DataType::UInt64 => Kind::UInt8,
            DataType::Float32 => Kind::Float4,
            DataType::Float64 => Kind::Float8,
            DataType::Decimal128(precision, scale) => Kind::Numeric(*precision, *scale),
            DataType::Utf8 => Kind::Text,
            DataType::Date32 => Kind::Date,
            DataType::Time64(TimeUnit::Microsecond) => Kind::Time,
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Kind::Timestamptz,
            _ => return None,
        })
    }

    /// The type's name in SQL.
    pub fn sql(self) -> String {
        match self {
            Kind::Bool => "boolean".to_owned(),
            Kind::Int2 => "smallint".to_owned(),
            Kind::Int4 => "integer".to_owned(),
            Kind::Int8 => "bigint".to_owned(),
            Kind::UInt8 => "numeric(20,0)".to_owned(),
            Kind::Float4 => "real".to_owned(),
            Kind::Float8 => "double precision".to_owned(),
            Kind::Numeric(precision, scale) => format!("numeric({precision},{scale})"),
            Kind::Text => "text".to_owned(),
            Kind::Date => "date".to_owned(),
            Kind::Time => "time without time zone".to_owned(),
            Kind::Timestamptz => "timestamp with time zone".to_owned(),
        }
    }
}

/// A column of the table that rows have a value for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyColumn {
    /// Its name.
    pub name: String,
    /// How it is written.
    pub kind: Kind,
    /// Where it stands in a batch of the contract's schema.
    pub index: usize,
    /// Part of the key.
    pub key: bool,
    /// NULL is allowed.
    pub nullable: bool,
}

impl CopyColumn {
    /// The name as SQL has it.
    pub fn quoted(&self) -> String {
        quote(&self.name)
    }
}

/// The columns of a sink in the order of its tuples, with the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPlan {
    /// The sink.
    pub sink: PostgresSink,
    /// The columns, those of the key first.
    pub columns: Vec<CopyColumn>,
}

impl CopyPlan {
    /// `schema` is the contract's; `None` for a pipeline with another sink.
    pub fn new(pipeline: &Pipeline, schema: &Schema) -> Option<CopyPlan> {
        let sink = pipeline.sink.postgres()?.clone();
        let is_key = |index: usize| pipeline.columns.get(index).is_some_and(|column| column.key);
        let column = |(index, field): (usize, &std::sync::Arc<arrow_schema::Field>)| {
            let kind = Kind::of(field.data_type())?;
            let (name, nullable) = (field.name().clone(), field.is_nullable());
            Some(CopyColumn { name, kind, index, key: is_key(index), nullable })
        };
        let mut columns: Vec<_> = schema.fields().iter().enumerate().filter_map(column).collect();
        // Stable: the contract's order within each.
        columns.sort_by_key(|column| !column.key);
        Some(CopyPlan { sink, columns })
    }

    /// How many columns the key has.
    pub fn keys(&self) -> usize {
        self.columns.iter().filter(|column| column.key).count()
    }
}
