-- What was bound to the statements of a held write, as it was sent: JSON; NULL nothing; 'null' more than is kept here.
ALTER TABLE approval ADD COLUMN params TEXT;
