-- the digest of the key that links are made with: by it the next start knows another one, and which of two a cut-short rotation meant
alter table server add column link_key blob check (length(link_key) = 32);
