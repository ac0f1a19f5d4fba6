//! What people read: status, log, show, at. Ids are hidden, everything else is frozen.

use crate::rig::{Place, hidden, same};

#[test]
fn status_tells_what_waits_first() {
    let out = Place::usual().says("status");
    same(
        &out,
        "
waiting for a person
  ID#22  final  for ann, until 2026-11-19 19:40:05 UTC

runs
  ID  interrupted  2026-11-18 19:56:41       4 events  task-3
  ID  waiting      2026-11-18 19:40:05      23 events  task-2
  ID  accepted     2026-11-18 19:23:32      54 events  task-1
  nobody drives; `loom resume` goes on

82 events in 19 commits of 4 streams, SIZE on disk, format 1
tree 82 ID

",
    );
}

#[test]
fn the_log_is_a_graph() {
    let place = Place::usual();
    let run = place.first("run.opened");
    let out = place.says(&format!("log {run}"));
    same(
        &out,
        "
●     ID #0    run.opened        task-1 (made 1)
●     ID #1    flow.chosen       main by pin
●     ID #2    stage.entered     implement (build, round 1)
●     ID #3    spawn.requested   coder
●     ID #4    spawn.finished    coder  ok  $0.0015
●     ID #5    budget.settled    #3: 120 tokens  $0.0015
●     ID #6    paths.changed     src/�.rs
●     ID #7    stage.entered     checks (build, round 1)
●     ID #8    check.requested   test
●     ID #9    check.finished    test  pass
●     ID #10   budget.settled    #8: 0 tokens
●     ID #11   stage.entered     review (review, round 1)
├─●   ID #12   spawn.requested   logic
├─┼─● ID #13   spawn.requested   safety
│ │ ● ID #14   spawn.finished    safety  ok  $0.0015
│ │ ● ID #15   budget.settled    #13: 120 tokens  $0.0015
│ │ ● ID #16   finding.raised    safety: a ␛[31mpath� leads out  blocking
├─┼─● ID #17   verdict.given     safety: request-changes  not passed
│ ●   ID #18   spawn.finished    logic  ok  $0.0015
│ ●   ID #19   budget.settled    #12: 120 tokens  $0.0015
├─●   ID #20   verdict.given     logic: approve  passed
●     ID #21   stage.entered     final (review, round 1)
●     ID #22   gate.opened       final: the policy asks a person, until 2026-11-19 19:23:25  waits
●     ID #23   gate.answered     gate #22  accept
●     ID #24   refused           merge.intended by floor/no-blocker  refused
●     ID #25   gate.withdrawn    gate #22: the run walks back
●     ID #26   walked.back       final → implement: a rule refused what was decided at `final`
●     ID #27   finding.resolved  finding #16  superseded
●     ID #28   stage.entered     implement (build, round 2)
●     ID #29   spawn.requested   coder
●     ID #30   spawn.finished    coder  ok  $0.0015
●     ID #31   budget.settled    #29: 120 tokens  $0.0015
●     ID #32   paths.changed     src/�.rs
●     ID #33   stage.entered     checks (build, round 2)
●     ID #34   check.requested   test
●     ID #35   check.finished    test  pass
●     ID #36   budget.settled    #34: 0 tokens
●     ID #37   stage.entered     review (review, round 2)
●     ID #38   spawn.requested   safety
●     ID #39   spawn.finished    safety  ok  $0.0015
●     ID #40   budget.settled    #38: 120 tokens  $0.0015
●     ID #41   verdict.given     safety: approve  passed
●     ID #42   spawn.requested   logic
●     ID #43   spawn.finished    logic  ok  $0.0015
●     ID #44   budget.settled    #42: 120 tokens  $0.0015
●     ID #45   verdict.given     logic: approve  passed
●     ID #46   stage.entered     final (review, round 2)
●     ID #47   gate.opened       final: the policy asks a person, until 2026-11-19 19:23:30  waits
●     ID #48   gate.answered     gate #47  accept
●     ID #49   gate.decided      final by person ann  accepted
●     ID #50   stage.entered     finalize (review, round 2)
●     ID #51   merge.intended    loom/task-1-ID
●     ID #52   merge.finished    done
●     ID #53   run.closed        accepted; the work is on loom/task-1-ID  accepted
ID head ID after 54 events, chain whole in what is shown

",
    );
}

#[test]
fn runs_side_by_side_are_told_apart() {
    same(
        &Place::usual().says("log -n 7"),
        "
… 75 earlier
●   ID ID#20   verdict.given     logic: approve  passed
●   ID ID#21   stage.entered     final (review, round 1)
●   ID ID#22   gate.opened       final: the policy asks a person, until 2026-11-19 19:40:05  waits
│ ● ID ID#0    run.opened        task-3 (made 1)
│ ● ID ID#1    flow.chosen       main by pin
│ ● ID ID#2    stage.entered     implement (build, round 1)
│ ● ID ID#3    spawn.requested   coder
tree 82 ID, chain whole in what is shown

",
    );
}

#[test]
fn kinds_are_picked() {
    same(
        &Place::usual().says("log --kind refused --kind gate"),
        "
●   ID ID#22   gate.opened       final: the policy asks a person, until 2026-11-19 19:23:25  waits
●   ID ID#23   gate.answered     gate #22  accept
●   ID ID#24   refused           merge.intended by floor/no-blocker  refused
●   ID ID#25   gate.withdrawn    gate #22: the run walks back
●   ID ID#47   gate.opened       final: the policy asks a person, until 2026-11-19 19:23:30  waits
●   ID ID#48   gate.answered     gate #47  accept
●   ID ID#49   gate.decided      final by person ann  accepted
│ ● ID ID#22   gate.opened       final: the policy asks a person, until 2026-11-19 19:40:05  waits
tree 82 ID, chain not looked at

",
    );
}

#[test]
fn a_refusal_says_what_would_clear_it() {
    let place = Place::usual();
    same(
        &place.says(&format!("show {}", place.first("refused"))),
        "
refused ID
  place    ID#24, position 25
  time     2026-11-18 19:23:26 UTC, 1795029806000 ms, counter 0
  actor    kernel
  class    record of the commit of #23
  previous ID
floor/no-blocker (error)
  says     a blocking finding stands
  on       merge.intended
  requires size(facts.blockers) == 0
  from     promise: nothing is merged over a blocker
  cost     at most 4 on one event, line 8
facts read
  floor/blockers = {16}
dropped, refused at merge.intended
  #24   gate.decided      final by person ann [accepted]
        gate 22
        role final
        outcome accepted
        by person
        decider ann
        artifact ID
        tree 0303030303030303030303030303030303030303
  #25   stage.entered     finalize (review, round 1)
        stage finalize
        phase review
        round 1
  #26   merge.intended    loom/task-1-ID
        decision 24
        artifact ID
        tree 0303030303030303030303030303030303030303
        base 0101010101010101010101010101010101010101
        branch loom/task-1-ID
what would clear it
  floor/no-blocker holds when size(facts.blockers) == 0
    floor/blockers: remove finding.resolved, finding.waived

",
    );
}

#[test]
fn a_spawn_is_shown_with_prompt_and_output() {
    let place = Place::usual();
    same(
        &place.says(&format!("show {}", place.first("spawn.requested"))),
        "
spawn.requested ID
  place    ID#3, position 4
  time     2026-11-18 19:23:21 UTC, 1795029801000 ms, counter 0
  actor    kernel
  class    decision of the commit of #0
  previous ID
  agent               coder
  stage               implement
  attempt             1
  recipe              ID
  tree                0202020202020202020202020202020202020202
  edits               true
  reserve_tokens      1000
  reserve_money_micro 5000
  reserve_time_ms     60000
belongs to it
  ID #4    spawn.finished    coder [ok]
  ID #5    budget.settled    #3: 120 tokens
prompt ID, 22 bytes
    You are coder.
    Do it.
output ID, 16 bytes
    coder says ␇done

",
    );
}

#[test]
fn a_finding_is_shown_with_what_became_of_it() {
    let place = Place::usual();
    same(
        &place.says(&format!("show {}", place.first("finding.raised"))),
        "
finding.raised ID
  place    ID#16, position 17
  time     2026-11-18 19:23:24 UTC, 1795029804000 ms, counter 0
  actor    kernel
  class    record of the commit of #14
  previous ID
  source      13
  agent       safety
  origin      agent
  severity    blocking
  category    path-escape
  path        src/�.rs
  line        7
  summary     a ␛[31mpath� leads out
  fingerprint ID
  phase       review
  round       1
belongs to it
  ID #13   spawn.requested   safety
  ID #27   finding.resolved  finding #16 [superseded]

",
    );
}

#[test]
fn a_gate_is_shown_with_what_became_of_it() {
    let place = Place::usual();
    same(
        &place.says(&format!("show {}", place.first("gate.opened"))),
        "
gate.opened ID
  place    ID#22, position 23
  time     2026-11-18 19:23:25 UTC, 1795029805000 ms, counter 0
  actor    kernel
  class    decision of the commit of #18
  previous ID
  role        final
  stage       final
  artifact    ID
  policy      human
  owner       ann
  deadline_ms 1795116205000
  default     abandoned
  reason      the policy asks a person
  blockers    16
  tree        0303030303030303030303030303030303030303
belongs to it
  ID #16   finding.raised    safety: a ␛[31mpath� leads out [blocking]
  ID #23   gate.answered     gate #22 [accept]
  ID #25   gate.withdrawn    gate #22: the run walks back

",
    );
}

#[test]
fn a_run_is_shown() {
    same(
        &Place::usual().says("show run:last"),
        "
run ID
    task 3
  run      ID task-3
  flow     main
  stage    implement (phase build, round 1)
  tree     0202020202020202020202020202020202020202
  pending  #3 spawn coder
  used     0 spawns, 0 tokens, $0.00, 0ms
  reserved 1 spawns, 1000 tokens, $0.005, 1m00s
  caps     40 spawns, 1000000 tokens, $1.00, 24h00m
  no findings stand
head ID after 4 events, 2026-11-18 19:56:41 UTC

",
    );
}

#[test]
fn the_state_is_shown_as_it_was() {
    let place = Place::usual();
    same(
        &place.says(&format!("at {}", place.first("refused"))),
        "
at ID#24 2026-11-18 19:23:26 UTC
  run      ID task-1
  flow     main
  stage    final (phase review, round 1)
  tree     0303030303030303030303030303030303030303
  gate     #22 final, artifact ID, abandoned after 2026-11-19 19:23:25 UTC
  used     3 spawns, 360 tokens, $0.0045, 7.5s
  reserved 0 spawns, 0 tokens, $0.00, 0ms
  caps     40 spawns, 1000000 tokens, $1.00, 24h00m
  finding  #16 blocking by safety in review
facts
  floor/blockers = {16}

",
    );
}

#[test]
fn ids_are_hidden_whole() {
    assert_eq!(hidden("a 0123456789abcdef b 12345 c"), "a ID b 12345 c");
}
