//! Objects whose names say that they are no data.

use crate::support::cloud::Cloud;
use crate::support::oracle;
use crate::support::orders::Orders;
use crate::support::world::World;

#[test]
fn a_name_that_says_no_data_is_skipped_and_said() {
    let (file, _) = Orders::clean(10).csv();
    let world = World::with_orders();
    world.write("a.csv", &file);
    world.write("_SUCCESS", "");
    world.write(".a.csv.crc", "crc\0");
    let ended = world.run(&["_SUCCESS", "a.csv", ".a.csv.crc"]).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let states: Vec<_> = ended.lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["SKIPPED", "COMMITTED", "SKIPPED"]);
    assert!(
        ended.lines[0]["error"].as_str().unwrap().contains("skipped by its name"),
        "{ended:#?}"
    );
    assert!(world.loaded() == oracle::good(&file));
    let checked = ["check", "orders.toml", "_SUCCESS"].map(str::to_owned).to_vec();
    let checked = world.command(checked).end();
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    assert!(checked.out.contains("_SUCCESS: would be skipped by its name"), "{checked:#?}");
    // A pattern that spells the name out takes the file.
    world.orders_with("incoming/*", "incoming/_SUCCESS");
    world.write("_SUCCESS", &file);
    assert_eq!(world.run(&["_SUCCESS"]).line()["rows_loaded"], 10);
}

#[tokio::test]
async fn an_upload_whose_name_says_no_data_starts_nothing_and_is_counted() {
    let world = World::new();
    let cloud = Cloud::start(&world.path("out"), 100).await;
    let marks = ["incoming/_SUCCESS", "incoming/day_$folder$", "incoming/.a.csv.crc"];
    for key in marks {
        cloud.put(key, b"").await;
        cloud.tell(key).await;
    }
    cloud.put("incoming/_orders.csv", &Orders::clean(3).csv().0).await;
    cloud.tell("incoming/_orders.csv").await;
    cloud.settle().await;
    assert_eq!(cloud.job().await.facts.object.key, "incoming/_orders.csv", "the only job");
    let found = cloud.duty(&cloud.app, serde_json::json!({ "duty": "reconcile" })).await;
    assert_eq!((&found["skipped"], &found["objects"]), (&3.into(), &1.into()), "{found}");
    cloud.shutdown().await;
    let status = ["status", "--out", "out"].map(str::to_owned).to_vec();
    let status = world.command(status).end();
    assert!(status.out.contains("skipped by name: 3 objects"), "{status:#?}");
}
