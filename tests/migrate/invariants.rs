//! What has to hold in the end: each kind holds where it does, and names what is wrong where it does not.

use rowproof_migrate::drive::Drive;
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::state::State;

use super::fixture::{Files, World, add_tier, drive};

/// A migration whose only invariant is this one.
fn with(invariant: &str) -> Files {
    add_tier("").without("contract.sql").edit(
        "migration.toml",
        "kind = \"zero_rows\"\nsql = \"SELECT id FROM customers WHERE tier IS NULL AND spend IS NOT NULL\"",
        invariant,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_invariant_holds_or_says_what_does_not() {
    let tiers = "kind = \"distribution\"\nsql = \"SELECT tier, count(*) FROM customers GROUP BY tier\"\n\
        tolerance = 0.02\nexpected = {";
    // Of 100 customers with a spend of 10, 20, .. 1000 (as 0) ten have each tier.
    let even: Vec<String> = (0..10).map(|at| format!("\"tier {at}\" = 0.1")).collect();
    let twice = "kind = \"aggregate\"\nleft = \"SELECT count(*) FROM customers WHERE tier IS NOT NULL\"\n\
        right = \"SELECT count(*) FROM customers\"\ntolerance = 0.05";
    let orphans = "kind = \"fk_orphans\"\ntable = \"public.customers\"\ncolumns = [\"tier\"]\n\
        references = \"public.tiers\"\nreferenced = [\"name\"]";
    let valid = |name: &str| {
        format!(
            "kind = \"constraint_valid\"\ntable = \"public.customers\"\nconstraint = \"{name}\""
        )
    };
    let index = |name: &str| format!("kind = \"index_valid\"\nindex = \"public.{name}\"");
    for (invariant, before, wrong) in [
        (format!("{tiers} {} }}", even.join(", ")), "", None),
        (
            format!("{tiers} {} }}", even.join(", ").replace("tier 9", "tier nine")),
            "",
            Some("a label has a share of 0.0000 and 0.1 was expected"),
        ),
        (
            format!("{tiers} {} }}", even[..9].join(", ")),
            "",
            Some("a label has a share of 0.1000 and 0 was expected"),
        ),
        (twice.to_owned(), "UPDATE customers SET spend = NULL WHERE id <= 40", None),
        (
            twice.to_owned(),
            "UPDATE customers SET spend = NULL WHERE id <= 60",
            Some("94 and 100 differ by more than 0.05"),
        ),
        (orphans.to_owned(), "", None),
        (
            orphans.to_owned(),
            "DELETE FROM tiers WHERE name = 'tier 0'",
            Some("more than 5 rows where"),
        ),
        (valid("spends"), "", None),
        (valid("later"), "", Some("the constraint is missing or not validated")),
        (valid("nowhere"), "", Some("the constraint is missing or not validated")),
        (index("customers_pkey"), "", None),
        (index("nowhere"), "", Some("the index is missing or not valid")),
    ] {
        let world = World::start(100, &with(&invariant)).await;
        let made = "CREATE TABLE tiers AS SELECT 'tier ' || i AS name FROM generate_series(0, 9) i;
            ALTER TABLE customers ADD CONSTRAINT spends CHECK (spend >= 0);
            UPDATE customers SET spend = id % 1000;
            ALTER TABLE customers ADD CONSTRAINT later CHECK (spend >= 0) NOT VALID;";
        world.client.batch_execute(&format!("{made} {before}")).await.unwrap();
        let outcome = drive(&world.engine()).await;
        let Some(wrong) = wrong else {
            assert_eq!(outcome.unwrap(), Drive::Done { state: State::Done }, "{invariant}");
            continue;
        };
        let error = outcome.unwrap_err();
        assert!(matches!(error, MigrateError::InvariantFailed { .. }), "{invariant}: {error}");
        assert!(error.to_string().contains(wrong), "{invariant}: {error}");
        assert_eq!((error.class().exit_code(), world.state().await.as_str()), (40, "swept"));
    }
}
