//! Screening through the whole program: watched people and list changes, verdicts, batches, replays, yente's API.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::server::{Answer, BONAFIDE, Key, Server, agent, create_key, send, test_data};

/// Imports a list of the operator's own as the command line does.
fn import(data: &Path, text: &str) {
    let file = data.join("own.csv");
    std::fs::write(&file, text).unwrap();
    import_list(data, &format!("csv={}", file.display()));
}

fn import_list(data: &Path, list: &str) {
    let output = Command::new(BONAFIDE)
        .args(["aml", "import", "--list", list, "--data"])
        .arg(data.join("aml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const HEAD: &str = "id,schema,name,aliases,birth_date,topics,notes\n";

fn screen(server: &Server, key: &Key, body: &Value) -> Answer {
    server.post_json("/v3/aml/", &key.text, body)
}

fn decision(server: &Server, key: &Key, session: &str) -> Value {
    server.get(&format!("/v3/session/{session}/decision/"), &key.text).json()
}

fn patch(server: &Server, key: &Key, path: &str, body: &Value) -> Answer {
    let request = agent()
        .patch(server.url(path))
        .header("x-api-key", &key.text)
        .header("content-type", "application/json");
    send(request.send(body.to_string()))
}

pub(crate) fn database(data: &Path) -> rusqlite::Connection {
    let file = std::fs::read_dir(data)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.extension().is_some_and(|kind| kind == "db" || kind == "sqlite" || kind == "sqlite3")
        })
        .expect("the data folder has a database");
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    connection
}

pub(crate) fn count(data: &Path, sql: &str) -> i64 {
    database(data).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Asks the server until a condition holds; every question is a request, so nothing is timed here.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500_000 {
        if holds() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{what} did not come");
}

/// Waits until every shard has come to the lists in use.
fn until_followed(data: &Path, server: &Server, key: &Key) {
    until("the end of the comparison", || {
        let version = server.get("/v1/aml/lists/", &key.text).json()["lists"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|list| {
                format!("\"{}\":\"{}\"", list["id"].as_str().unwrap(), list["version"].as_str().unwrap())
            })
            .collect::<Vec<_>>()
            .join(",");
        let behind: i64 = database(data)
            .query_row(
                "SELECT COUNT(*) FROM aml_shards WHERE enrolled > 0 AND versions <> ?1",
                [format!("{{{version}}}")],
                |row| row.get(0),
            )
            .unwrap();
        behind == 0 && count(data, "SELECT COUNT(*) FROM jobs WHERE kind LIKE 'aml.%'") == 0
    });
}

#[test]
fn a_list_change_reopens_the_case_of_a_watched_person_and_remembers_what_was_decided() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    // Without a list nobody is clear.
    let unknown = screen(&server, &key, &json!({ "full_name": "Anyone", "save_api_request": false })).json();
    assert_eq!(unknown["aml"]["status"], "In Review");
    import(
        data.path(),
        &format!("{HEAD}1,Person,Raphael Zapoletes,,,sanction,\n2,Person,Somebody Else,,,sanction,\n"),
    );
    let refused = screen(
        &server,
        &key,
        &json!({ "full_name": "A", "include_ongoing_monitoring": true, "save_api_request": false }),
    );
    assert_eq!(
        refused.json(),
        json!({ "error": ["Ongoing monitoring can only be enabled when the API request is saved."] })
    );
    let body = json!({ "full_name": "Amaurot Hythlodaeus", "include_ongoing_monitoring": true, "vendor_data": "anna" });
    let answer = screen(&server, &key, &body).json();
    assert_eq!((&answer["aml"]["status"], &answer["aml"]["total_hits"]), (&json!("Approved"), &json!(0)));
    assert_eq!(answer["aml"]["is_ongoing_monitoring_enabled"], true);
    let session = answer["request_id"].as_str().unwrap().to_owned();

    // The person is listed: the running server notices, and the case is open.
    let listed = |alias: &str, notes: &str| {
        format!(
            "{HEAD}1,Person,Raphael Zapoletes,,,sanction,\n7,Person,Amaurot Hythlodaeus,{alias},,sanction,{notes}\n"
        )
    };
    import(data.path(), &listed("", ""));
    until("the alert", || decision(&server, &key, &session)["status"] == "In Review");
    let shown = decision(&server, &key, &session);
    let screening = &shown["aml_screenings"][0];
    assert_eq!(screening["hits"][0]["id"], "csv:7");
    assert_eq!(screening["status"], "In Review");
    until_followed(data.path(), &server, &key);
    assert_eq!(count(data.path(), "SELECT COUNT(*) FROM aml_alerts"), 1);
    assert_eq!(count(data.path(), "SELECT COUNT(*) FROM events WHERE kind = 'activity.created'"), 1);
    assert_eq!(count(data.path(), "SELECT COUNT(*) FROM events WHERE kind = 'status.updated'"), 1);

    // A verdict is taken, and refused where there is nothing to judge.
    let path = format!("/v3/session/{session}/update-aml-hit-status/");
    let wrong = patch(&server, &key, &path, &json!({ "hit_id": "csv:7", "review_status": "Maybe" }));
    assert_eq!(wrong.json(), json!({ "review_status": ["\"Maybe\" is not a valid choice."] }));
    let missing = patch(&server, &key, &path, &json!({ "hit_id": "abc123", "review_status": "Unreviewed" }));
    assert_eq!(
        (missing.status, missing.json()["detail"].as_str()),
        (404, Some("Hit with ID 'abc123' not found in the AML check."))
    );
    let taken = patch(&server, &key, &path, &json!({ "hit_id": "csv:7", "review_status": "False Positive" }));
    assert_eq!((taken.status, &taken.json()["status"]), (200, &json!("Approved")));
    let approved = patch(
        &server,
        &key,
        &format!("/v3/session/{session}/update-status/"),
        &json!({ "new_status": "Approved", "comment": "another person" }),
    );
    assert_eq!(approved.status, 200, "{}", approved.text);
    let bulk = format!("/v3/session/{session}/bulk-update-aml-hit-status/");
    assert_eq!(
        patch(&server, &key, &bulk, &json!({ "hit_updates": [] })).json(),
        json!({ "hit_updates": ["hit_updates cannot be empty"] })
    );
    let unknown = json!({ "hit_updates": [
        { "hit_id": "csv:7", "review_status": "Inconclusive" }, { "hit_id": "zzz999", "review_status": "Inconclusive" },
    ] });
    assert_eq!(patch(&server, &key, &bulk, &unknown).json()["detail"], "Hits not found: zzz999");
    // All or none: the verdict before stands. It holds for the same person in another screening.
    let again =
        screen(&server, &key, &json!({ "full_name": "Amaurot Hythlodaeus", "vendor_data": "anna" })).json();
    assert_eq!(again["aml"]["hits"][0]["review_status"], "False Positive");
    assert_eq!(again["aml"]["status"], "Approved");
    let other =
        screen(&server, &key, &json!({ "full_name": "Amaurot Hythlodaeus", "vendor_data": "berta" })).json();
    assert_eq!(other["aml"]["status"], "In Review");

    // A remark changes nothing; an alias reopens the case and shows the earlier verdict.
    import(data.path(), &listed("", "A remark"));
    until_followed(data.path(), &server, &key);
    assert_eq!(decision(&server, &key, &session)["status"], "Approved");
    assert_eq!(count(data.path(), "SELECT COUNT(*) FROM aml_alerts"), 1);
    import(data.path(), &listed("Abraxa Nephelo", "A remark"));
    until("the case to reopen", || decision(&server, &key, &session)["status"] == "In Review");
    let hit = decision(&server, &key, &session)["aml_screenings"][0]["hits"][0].clone();
    assert_eq!(hit["review_status"], "Unreviewed");
    assert_eq!(hit["additional_information"]["previous_review_status"], "False Positive");
    until_followed(data.path(), &server, &key);
    // The entry goes: that is told, too.
    import(
        data.path(),
        &format!("{HEAD}1,Person,Raphael Zapoletes,,,sanction,\n8,Person,Nobody Known,,,sanction,\n"),
    );
    until("the alert of the removal", || {
        count(data.path(), "SELECT COUNT(*) FROM aml_alerts WHERE kind = 'removed'") == 1
    });
    assert_eq!(decision(&server, &key, &session)["aml_screenings"][0]["total_hits"], 0);
    assert_eq!(count(data.path(), "SELECT COUNT(*) FROM aml_alerts"), 3);

    // Nothing of it can be read in the files, and nothing stays after an erasure.
    let erased = send(
        agent()
            .delete(server.url(&format!("/v3/session/{session}/delete/")))
            .header("x-api-key", &key.text)
            .call(),
    );
    assert_eq!(erased.status, 204, "{}", erased.text);
    assert_eq!(count(data.path(), "SELECT COUNT(*) FROM aml_watched"), 0);
    assert_eq!(count(data.path(), "SELECT COUNT(*) FROM aml_alerts"), 0);
}

#[test]
fn kills_in_the_middle_of_a_list_change_lose_no_alert_and_double_none() {
    const PEOPLE: i64 = 60;
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    import(data.path(), &format!("{HEAD}1,Person,Raphael Zapoletes,,,sanction,\n"));
    let mut server = Server::start(data.path());
    // Names that resemble only their own entry.
    let names: Vec<String> =
        (0..PEOPLE).map(|n| format!("{} {}", word(n * 7 + 1), word(n * 13 + 5_000))).collect();
    let mut sessions = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let body = json!({ "full_name": name, "include_ongoing_monitoring": true, "vendor_data": format!("p{number}") });
        let answer = screen(&server, &key, &body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        sessions.push(answer.json()["request_id"].as_str().unwrap().to_owned());
    }
    let mut list = HEAD.to_owned();
    for (number, name) in names.iter().enumerate() {
        list.push_str(&format!("{number},Person,{name},,,sanction,\n"));
    }
    import(data.path(), &list);
    let alerts = || count(data.path(), "SELECT COUNT(*) FROM aml_alerts");
    for least in [1, PEOPLE / 4, PEOPLE / 2] {
        until("some alerts", || alerts() >= least);
        server.kill_and_restart();
        // The dead worker's leases are over.
        database(data.path()).execute("UPDATE jobs SET run_at = 0", []).unwrap();
    }
    until_followed(data.path(), &server, &key);
    // What the alerts say is what the screenings of all people show now, once each.
    let told = count(data.path(), "SELECT COUNT(*) FROM events WHERE kind = 'activity.created'");
    let shown: i64 = sessions
        .iter()
        .map(|session| {
            let hits = &decision(&server, &key, session)["aml_screenings"][0]["total_hits"];
            assert_ne!(*hits, json!(0), "a person was missed");
            hits.as_i64().unwrap()
        })
        .sum();
    assert_eq!((alerts(), told), (shown, shown));
    assert_eq!(count(data.path(), "SELECT COUNT(*) FROM events WHERE kind = 'status.updated'"), PEOPLE);
    let list = server.get("/v3/sessions/?status=In%20Review&limit=200", &key.text).json();
    assert_eq!(list["count"], PEOPLE);
}

/// A pronounceable word of its own for every number.
fn word(number: i64) -> String {
    const START: &[&str] = &["Br", "Kl", "Dr", "Gw", "Pf", "Str", "Vl", "Zn", "Th", "Sch", "M", "N", "R"];
    const VOWEL: &[&str] = &["a", "e", "i", "o", "u"];
    let mut rest = usize::try_from(number).unwrap() * 7_919 + 104_729;
    let mut out = String::new();
    for _ in 0..3 {
        out.push_str(START[rest % START.len()]);
        rest /= START.len();
        out.push_str(VOWEL[rest % VOWEL.len()]);
        rest = rest / VOWEL.len() + 31;
    }
    out.push_str("rkt");
    out
}

#[test]
fn a_screening_is_repeated_byte_for_byte_after_a_newer_list_came() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    import(data.path(), &format!("{HEAD}1,Person,Raphael Zapoletes,Rafael Sapoletes,1955-11-30,sanction,\n"));
    let server = Server::start(data.path());
    let query = json!({ "full_name": "Rafael Zapoletes", "date_of_birth": "1955-11-30" });
    let first = screen(&server, &key, &query);
    let session = first.json()["request_id"].as_str().unwrap().to_owned();
    let block = |answer: &Answer| {
        // The bytes of the block as they were sent.
        let start = answer.text.find("\"aml\":").unwrap() + 6;
        let mut depth = 0;
        let end = answer.text[start..]
            .char_indices()
            .find_map(|(at, c)| {
                depth += match c {
                    '{' => 1,
                    '}' => -1,
                    _ => 0,
                };
                (depth == 0).then_some(start + at + 1)
            })
            .unwrap();
        answer.text[start..end].to_owned()
    };
    assert!(first.json()["aml"]["total_hits"].as_u64().unwrap() > 0);
    import(
        data.path(),
        &format!(
            "{HEAD}1,Person,Raphael Zapoletes,Zap;Zapo,1956,sanction,\n2,Person,Rafael Zapoletes,,,sanction,\n"
        ),
    );
    let now = screen(&server, &key, &query);
    assert_ne!(block(&first), block(&now));
    let repeated = server.post_json("/v1/aml/replay", &key.text, &json!({ "session_id": session }));
    assert_eq!(repeated.status, 200, "{}", repeated.text);
    assert_eq!(repeated.json()["identical"], true);
    assert_eq!(block(&repeated), block(&first));
    // What was not saved is repeated from the question and the versions that the answer cited.
    let cited = first.json()["aml"].clone();
    let stated = json!({
        "query": query, "list_versions": cited["list_versions"], "engine_version": cited["engine_version"],
    });
    let repeated = server.post_json("/v1/aml/replay", &key.text, &stated);
    assert_eq!(block(&repeated), block(&first));
    let mut other = stated.clone();
    other["engine_version"] = json!("aml-0");
    assert_eq!(server.post_json("/v1/aml/replay", &key.text, &other).status, 409);
    let mut gone = stated;
    gone["list_versions"][0]["sha256"] = json!("0".repeat(64));
    assert_eq!(server.post_json("/v1/aml/replay", &key.text, &gone).status, 409);

    // The lists as they stand, and what changed.
    let lists = server.get("/v1/aml/lists/", &key.text).json();
    assert_eq!((&lists["count"], &lists["lists"][0]["id"]), (&json!(1), &json!("csv")));
    assert_eq!(lists["lists"][0]["versions"].as_array().unwrap().len(), 2);
    assert_eq!((&lists["lists"][0]["stale"], &lists["lists"][0]["in_use"]), (&json!(false), &json!(true)));
    let from = cited["list_versions"][0]["sha256"].as_str().unwrap()[..16].to_owned();
    let diff = server.get(&format!("/v1/aml/lists/csv/diff?from={from}"), &key.text).json();
    assert_eq!(
        (&diff["added"], &diff["modified"], &diff["removed"]),
        (&json!(1), &json!(1), &json!(0)),
        "{diff}"
    );
    assert_eq!(server.get("/v1/aml/lists/csv/diff?from=0000000000000000", &key.text).status, 404);
    assert_eq!(server.get("/v1/aml/lists/..%2f..%2fx/diff", &key.text).status, 404);
}

#[test]
fn a_batch_is_answered_line_by_line_and_a_bad_line_stops_nothing() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    import(data.path(), &format!("{HEAD}1,Person,Raphael Zapoletes,,,sanction,\n"));
    let server = Server::start(data.path());
    let mut lines = String::new();
    for number in 0..500 {
        lines.push_str(&json!({ "id": number, "full_name": format!("{} Person", word(number)) }).to_string());
        lines.push('\n');
    }
    lines.push_str("{\"id\": \"hit\", \"full_name\": \"Raphael Zapoletes\"}\n\nnonsense\n{\"id\": 7}\n");
    lines.push_str(&format!("{{\"full_name\": \"{}\"}}\n", "x".repeat(70_000)));
    lines.push_str("{\"id\": \"last\", \"full_name\": \"Nobody\", \"aml_name_weight\": 1}");
    let answer = server.post("/v1/aml/screen/batch", &key.text, "application/x-ndjson", lines.as_bytes());
    assert_eq!(answer.status, 200);
    let answers: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 505);
    assert!(answers.iter().enumerate().all(|(at, answer)| answer["line"] == at + 1));
    assert!(answers[..500].iter().all(|answer| answer["aml"]["status"] == "Approved"));
    assert_eq!(
        (&answers[500]["id"], &answers[500]["aml"]["hits"][0]["id"]),
        (&json!("hit"), &json!("csv:1"))
    );
    assert_eq!(answers[501]["error"]["code"], "parse_error");
    assert_eq!(answers[502]["error"]["full_name"][0], "This field is required.");
    assert_eq!(answers[503]["error"]["code"], "line_too_long");
    assert!(answers[504]["error"]["error"][0].as_str().unwrap().starts_with("AML weights must sum to 100"));
    // The same result as the single call gives, and nothing was kept.
    let single =
        screen(&server, &key, &json!({ "full_name": "Raphael Zapoletes", "save_api_request": false })).json();
    assert_eq!(single["aml"], answers[500]["aml"]);
    assert_eq!(server.get("/v3/sessions/", &key.text).json()["count"], 0);
    assert_eq!(server.post("/v1/aml/screen/batch", &key.text, "text/csv", b"a").status, 415);
}

#[test]
fn clients_of_yente_find_what_they_know() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let ask = |path: &str, body: &Value| {
        let request = agent()
            .post(server.url(path))
            .header("authorization", format!("ApiKey {}", key.text))
            .header("content-type", "application/json");
        send(request.send(body.to_string()))
    };
    let query = json!({ "queries": { "q1": { "schema": "Person", "properties": { "name": ["Raphael Zapoletes"] } } } });
    assert_eq!(ask("/match/default", &query).status, 503, "no list is loaded");
    assert_eq!(send(agent().get(server.url("/readyz")).call()).status, 503);
    import(data.path(), &format!("{HEAD}1,Person,Raphael Zapoletes,,1955-11-30,sanction,\n"));
    let answer = ask("/match/default", &query).json();
    assert_eq!(answer["responses"]["q1"]["status"], 200);
    let result = &answer["responses"]["q1"]["results"][0];
    assert_eq!(
        (&result["id"], &result["match"], &result["schema"]),
        (&json!("csv:1"), &json!(true), &json!("Person"))
    );
    assert_eq!(ask("/match/csv?limit=1&threshold=0.9", &query).status, 200);
    assert_eq!(ask("/match/peps", &query).status, 404);
    assert_eq!(ask("/match/default?limit=many", &query).status, 422);
    assert_eq!(ask("/match/default?algorithm=best", &query).status, 200);
    assert_eq!(ask("/match/default?algorithm=logic-v2", &query).status, 400);
    let mut weighed = query.clone();
    weighed["weights"] = json!({ "name_match": 0.5 });
    assert_eq!(ask("/match/default", &weighed).status, 400);
    assert_eq!(ask("/match/default", &json!({ "queries": {} })).status, 400);
    assert_eq!(ask("/match/default", &json!({ "queries": { "a": { "properties": 7 } } })).status, 422);
    let many: serde_json::Map<String, Value> =
        (0..101).map(|n| (n.to_string(), json!({ "schema": "Person", "properties": {} }))).collect();
    assert_eq!(ask("/match/default", &json!({ "queries": many })).status, 400);
    let excluded = ask("/match/default?exclude_entity_ids=csv:1", &query).json();
    assert_eq!(excluded["responses"]["q1"]["results"], json!([]));
    let get = |path: &str| {
        send(agent().get(server.url(path)).header("authorization", format!("Bearer {}", key.text)).call())
    };
    assert_eq!(get("/search/default?q=Zapoletes").json()["results"][0]["id"], "csv:1");
    assert_eq!(get("/search/default?q=Zapoletes&offset=1").json()["results"], json!([]));
    assert_eq!(get("/search/default?q=Zapoletes&offset=-1").status, 422);
    assert_eq!(get("/search/default?q=Zapoletes").json()["list_versions"][0]["list"], "csv");
    // What must hold besides the name: each as yente's clients ask for it.
    let ids = |path: &str| -> Vec<String> {
        let results = get(path).json()["results"].as_array().cloned().unwrap_or_default();
        results.iter().filter_map(|shown| shown["id"].as_str().map(str::to_owned)).collect()
    };
    for holds in
        ["topics=sanction", "datasets=csv", "filter=topics:sanction", "sort=birthDate:desc", "fuzzy=true"]
    {
        assert_eq!(ids(&format!("/search/default?q=Zapoletes&{holds}")), ["csv:1"], "{holds}");
    }
    for fails in [
        "topics=crime",
        "exclude_dataset=csv",
        "exclude_schema=Person",
        "filter=gender:female",
        "countries=fr",
    ] {
        assert!(ids(&format!("/search/default?q=Zapoletes&{fails}")).is_empty(), "{fails}");
    }
    let facets = get("/search/default?q=Zapoletes").json()["facets"]["topics"]["values"].clone();
    assert_eq!(facets, json!([{ "name": "sanction", "label": "sanction", "count": 1 }]));
    assert_eq!(get("/search/default?q=x&sort=birthDate:up").status, 422);
    assert_eq!(ids("/search/default?q=Zapoletes&changed_since=2020-01-01"), ["csv:1"], "it came after that");
    assert!(ids("/search/default?q=Zapoletes&changed_since=2999-01-01").is_empty());
    assert_eq!(get("/search/default?q=x&changed_since=lately").status, 422);
    let unchanged = ask("/match/default?changed_since=2999-01-01T00:00:00Z", &query).json();
    assert_eq!(unchanged["responses"]["q1"]["results"], json!([]));
    assert_eq!(
        ask("/match/default?exclude_schema=Person", &query).json()["responses"]["q1"]["results"],
        json!([])
    );
    // OpenRefine: the manifest, a batch of names, suggestions.
    let manifest = get("/reconcile/default").json();
    assert_eq!(manifest["versions"], json!(["0.2"]));
    assert!(manifest["suggest"]["entity"]["service_url"].as_str().unwrap().ends_with("/reconcile/default"));
    assert_eq!(get("/reconcile/peps").status, 404);
    let refine = |path: &str, body: &str| {
        let request = agent()
            .post(server.url(path))
            .header("authorization", format!("ApiKey {}", key.text))
            .header("content-type", "application/x-www-form-urlencoded");
        send(request.send(body))
    };
    // {"q0":{"query":"Raphael Zapoletes","type":"Person","properties":[{"pid":"Person:birthDate","v":"1955-11-30"}]}}
    let batch = "queries=%7B%22q0%22%3A%7B%22query%22%3A%22Raphael+Zapoletes%22%2C%22type%22%3A%22Person%22%2C%22properties%22\
        %3A%5B%7B%22pid%22%3A%22Person%3AbirthDate%22%2C%22v%22%3A%221955-11-30%22%7D%5D%7D%7D";
    let found = refine("/reconcile/default", batch).json()["q0"]["result"][0].clone();
    assert_eq!(
        (&found["id"], &found["match"], &found["type"][0]["id"]),
        (&json!("csv:1"), &json!(true), &json!("Person"))
    );
    assert_eq!(refine("/reconcile/default", "queries=nonsense").status, 400);
    assert_eq!(refine("/reconcile/default", "").status, 400);
    assert_eq!(ask("/reconcile/default", &query).status, 415);
    assert_eq!(get("/reconcile/default/suggest/entity?prefix=Zapoletes").json()["result"][0]["id"], "csv:1");
    assert_eq!(get("/reconcile/default/suggest/type?prefix=peo").json()["result"][0]["id"], "Person");
    assert_eq!(
        get("/reconcile/default/suggest/property?prefix=birth").json()["result"][0]["id"],
        "Person:birthDate"
    );
    assert_eq!(get("/reconcile/default/suggest/else?prefix=a").status, 404);
    let found = get("/entities/csv:1").json();
    assert_eq!(
        (&found["caption"], &found["list_versions"][0]["list"]),
        (&json!("Raphael Zapoletes"), &json!("csv"))
    );
    assert_eq!(get("/entities/csv:2").status, 404);
    let catalog = get("/catalog").json();
    assert_eq!(catalog["datasets"][1]["children"], json!(["csv"]));
    assert_eq!(get("/algorithms").json()["default"], "bonafide");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(agent().get(server.url(path)).call()).json(), json!({ "status": "ok" }));
    }
    assert_eq!(
        send(agent().get(server.url("/catalog")).header("authorization", "Basic x").call()).status,
        403
    );
}

#[test]
fn a_workflow_screens_and_what_could_not_be_screened_goes_to_review() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let features = |config: Value| json!({ "workflow_label": "Screened", "features": [{ "feature": "OCR" }, { "feature": "AML", "config": config }] });
    let refused = server.post_json("/v3/workflows/", &key.text, &features(json!({ "aml_name_weight": 90 })));
    assert_eq!(
        refused.json()["features"][0],
        "Feature 'AML': AML weights must sum to 100. Current sum: 130 (name: 90, dob: 25, country: 15)"
    );
    let made = server.post_json(
        "/v3/workflows/",
        &key.text,
        &features(json!({ "include_ongoing_monitoring": true })),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    let workflow = made.json()["workflow_id"].as_str().unwrap().to_owned();
    let session = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": workflow })).json();
    let link = session["url"].as_str().unwrap();
    let form = "application/x-www-form-urlencoded";
    assert_eq!(server.post(&format!("{link}/consent"), "", form, b"agree=true").status, 200);
    let (kind, body) = crate::server::form(&[("image", "front.jpg", &crate::server::grey_jpeg(90))], &[]);
    assert_eq!(server.post(&format!("{link}/capture/front"), "", &kind, &body).status, 200);
    assert_eq!(server.post(&format!("{link}/skip-back"), "", form, b"").status, 200);
    assert_eq!(server.post(&format!("{link}/submit"), "", form, b"").status, 200);
    let id = session["session_id"].as_str().unwrap();
    until("the decision", || decision(&server, &key, id)["status"] == "In Review");
    let shown = decision(&server, &key, id);
    let screening = &shown["aml_screenings"][0];
    assert_eq!((&screening["node_id"], &screening["status"]), (&json!("feature_aml"), &json!("In Review")));
    assert_eq!(screening["warnings"][0]["risk"], "COULD_NOT_PERFORM_AML_SCREENING");
    let path = format!("/v3/session/{id}/update-aml-hit-status/");
    let body = json!({ "hit_id": "x", "review_status": "Inconclusive" });
    assert_eq!(patch(&server, &key, &path, &body).status, 404);
}

/// The records of a CSV file of OFAC: no header, quoted, `-0-` for nothing.
fn records(file: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read(file).unwrap();
    String::from_utf8_lossy(&text)
        .lines()
        .map(|line| {
            let mut fields = vec![String::new()];
            let mut quoted = false;
            for c in line.chars() {
                match c {
                    '"' => quoted = !quoted,
                    ',' if !quoted => fields.push(String::new()),
                    _ => fields.last_mut().unwrap().push(c),
                }
            }
            fields.into_iter().map(|field| field.trim().to_owned()).collect()
        })
        .collect()
}

/// Two real versions of OFAC's alias and address files, half a year apart, over one file of primary names.
#[test]
fn the_real_delta_of_ofac_reaches_watched_people() {
    let Some(material) = test_data() else { return };
    let most: usize =
        std::env::var("BONAFIDE_DELTA_PEOPLE").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let lists = material.join("aml/lists");
    let base = material.join("aml/bench/index_ofac/sdn.csv");
    let data = tempfile::tempdir().unwrap();
    let version = |name: &str| {
        let folder = data.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(&base, folder.join("sdn.csv")).unwrap();
        for file in ["alt.csv", "add.csv"] {
            std::fs::copy(lists.join(name).join(file), folder.join(file)).unwrap();
        }
        folder
    };
    let (old, new) = (version("ofac_alt_add_2025-12"), version("ofac_alt_add_2026-06"));
    // Who to watch: people whose aliases changed, by their primary name; as many whose did not; people named as
    // an alias that only the newer file has.
    let individuals: std::collections::BTreeMap<String, String> = records(&base)
        .into_iter()
        .filter(|row| row.get(2).is_some_and(|kind| kind == "individual"))
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let aliases = |folder: &Path| -> std::collections::BTreeSet<(String, String)> {
        records(&folder.join("alt.csv"))
            .into_iter()
            .filter(|row| row.len() > 3 && individuals.contains_key(&row[0]))
            .map(|row| (row[0].clone(), row[3].clone()))
            .collect()
    };
    let (before, after) = (aliases(&old), aliases(&new));
    let changed: std::collections::BTreeSet<&String> =
        before.symmetric_difference(&after).map(|(id, _)| id).collect();
    let added: Vec<&String> = after.difference(&before).map(|(_, alias)| alias).take(most).collect();
    let changed_people: Vec<&String> =
        changed.iter().take(most).filter_map(|id| individuals.get(*id)).collect();
    let same_people: Vec<&String> = individuals
        .iter()
        .filter(|(id, _)| !changed.contains(id))
        .map(|(_, name)| name)
        .step_by(97)
        .take(most)
        .collect();

    let key = create_key(data.path(), &[]);
    import_list(data.path(), &format!("ofac-csv={}", old.display()));
    let server = Server::start(data.path());
    let mut decided = Vec::new();
    for (group, people) in [("changed", &changed_people), ("same", &same_people), ("added", &added)] {
        for (number, name) in people.iter().enumerate() {
            let body = json!({
                "full_name": name, "include_ongoing_monitoring": true, "vendor_data": format!("{group} {number}"),
            });
            let answer = screen(&server, &key, &body);
            assert_eq!(answer.status, 200, "{}", answer.text);
            // Every hit is decided: only a material change may bring it back.
            let hits: Vec<Value> = answer.json()["aml"]["hits"]
                .as_array()
                .unwrap()
                .iter()
                .map(|hit| json!({ "hit_id": hit["id"], "review_status": "False Positive" }))
                .collect();
            let session = answer.json()["request_id"].as_str().unwrap().to_owned();
            if !hits.is_empty() {
                let path = format!("/v3/session/{session}/bulk-update-aml-hit-status/");
                assert_eq!(patch(&server, &key, &path, &json!({ "hit_updates": hits })).status, 200);
                patch(
                    &server,
                    &key,
                    &format!("/v3/session/{session}/update-status/"),
                    &json!({ "new_status": "Approved" }),
                );
            }
            decided.push((group, session));
        }
    }
    import_list(data.path(), &format!("ofac-csv={}", new.display()));
    until_followed(data.path(), &server, &key);
    let diff = server.get("/v1/aml/lists/ofac/diff?limit=1", &key.text).json();
    let alerts =
        |kind: &str| count(data.path(), &format!("SELECT COUNT(*) FROM aml_alerts WHERE kind = '{kind}'"));
    let mut reopened = std::collections::BTreeMap::new();
    for (group, session) in &decided {
        let shown = decision(&server, &key, session);
        *reopened.entry(*group).or_insert(0) += i32::from(shown["status"] == "In Review");
    }
    eprintln!(
        "OFAC 2025-12 -> 2026-06: {} entries changed ({} material); watched: {} changed, {} same, {} named as a new alias; \
         alerts: {} new, {} changed, {} removed; events: {} activity.created, {} status.updated; cases reopened: {reopened:?}",
        diff["count"],
        diff["material"],
        changed_people.len(),
        same_people.len(),
        added.len(),
        alerts("new"),
        alerts("changed"),
        alerts("removed"),
        count(
            data.path(),
            "SELECT COUNT(*) FROM events WHERE kind = 'activity.created' AND id IN (SELECT id FROM events WHERE created_at >= (SELECT MIN(created_at) FROM aml_alerts))"
        ),
        count(
            data.path(),
            "SELECT COUNT(*) FROM events WHERE kind = 'status.updated' AND created_at >= (SELECT MIN(created_at) FROM aml_alerts)"
        ),
    );
    // Over this file of primary names the newer aliases take away more than they add: no person is new.
    assert!(alerts("changed") > 0);
    assert!(reopened["changed"] > 0);
    assert_eq!(reopened["same"], 0, "nothing that stayed as it was is reopened");
}
