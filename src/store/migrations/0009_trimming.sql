-- The beginning of history may be dropped, but for the last event about each thing that is there (`events::trim`). No table changes for it: what is
-- kept stays where it was, and an event of a new kind, 3, says what was dropped. This step is there for programs before it, which would call such a
-- history broken and couldn't list it: they refuse data with a step that they don't know.
select 1;
