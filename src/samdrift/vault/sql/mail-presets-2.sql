-- Rules of mailboxes are presets, too: who becomes the handler of a conversation that begins.

ALTER TABLE presets DROP CONSTRAINT presets_kind_check;
ALTER TABLE presets ADD CONSTRAINT presets_kind_check CHECK (kind IN ('view', 'text', 'list', 'rule'));
