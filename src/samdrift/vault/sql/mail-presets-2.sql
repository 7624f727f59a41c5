-- Rules of mailboxes are presets too: they choose the handler of a new conversation.

ALTER TABLE presets DROP CONSTRAINT presets_kind_check;
ALTER TABLE presets ADD CONSTRAINT presets_kind_check CHECK (kind IN ('view', 'text', 'list', 'rule'));
