-- +goose NO TRANSACTION
-- +goose Up
-- Texts are folded and separated into words by Unicode's classes. What that changes is in
-- indexes on these functions, which are rebuilt below without a lock that keeps readers or
-- writers away. Until then, the names that the change is about may be missed by a search.
-- All of it can run again after it was interrupted.

-- Text as a search compares it, the same in every locale: without accents, points, vowel
-- signs and what can't be seen, whatever the width, size and case of its letters, with
-- ASCII's digits, and with one form of letters that people write in several. The path is
-- fixed since indexes are built under others.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION search_fold(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path FROM CURRENT AS $$
BEGIN
  IF octet_length(t) = char_length(t) THEN
    RETURN lower(t COLLATE "C");
  END IF;
  -- Combining marks of Latin, Greek, Cyrillic, Hebrew and Arabic, the tones of Armenian
  -- words, and Unicode's default ignorable and invisible format characters.
  t := regexp_replace(normalize(t, NFKD),
    '[\u0300-\u036F\u0483-\u0487\u055B\u055C\u055E\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7\u0610-\u061A\u0640\u064B-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E4\u06E7\u06E8\u06EA-\u06ED\u0898-\u089F\u08CA-\u08E1\u08E3-\u08FF\u1AB0-\u1ACE\u1DC0-\u1DFF\u20D0-\u20F0\uFE20-\uFE2F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFFB\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]',
    '', 'g');
  t := lower(unaccent('unaccent', lower(normalize(t, NFC) COLLATE "und-x-icu")) COLLATE "C");
  -- The final sigma; yeh and kaf of Persian, alef maksura and teh marbuta; geresh and
  -- gershayim.
  t := translate(t, 'ςىیةک׳״', 'σييهك''"');
  -- Separators that no normalization makes spaces, and the blank of Braille.
  IF t ~ '[\u0085\u1680\u2028\u2029\u2800]' THEN
    t := regexp_replace(t, '[\u0085\u1680\u2028\u2029\u2800]', ' ', 'g');
  END IF;
  -- Small kana, which the table of UTS 10 tells apart from others as it does cases.
  IF t ~ '[\u3041-\u30F6\u31F0-\u31FF]' THEN
    t := translate(t, 'ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ',
      'あいうえおつやゆよわかけアイウエオツヤユヨワカケクシストヌハヒフヘホムラリルレロ');
  END IF;
  -- Thai and Lao: the vowel comes before the tone, however it was typed, and so does the
  -- sign that sara am begins with; two sara e are a sara ae.
  IF t ~ '[\u0E40\u0E48-\u0E4B\u0EC8-\u0ECB]' THEN
    t := regexp_replace(t, '([\u0E48-\u0E4B\u0EC8-\u0ECB]+)([\u0E31\u0E34-\u0E3A\u0E47\u0E4D\u0EB1\u0EB4-\u0EBB\u0ECD]+)', '\2\1', 'g');
    t := replace(t, 'เเ', 'แ');
  END IF;
  IF t ~ '[\u0660-\u0669\u06F0-\u06F9\u07C0-\u07C9\u0966-\u096F\u09E6-\u09EF\u0A66-\u0A6F\u0AE6-\u0AEF\u0B66-\u0B6F\u0BE6-\u0BEF'
    '\u0C66-\u0C6F\u0CE6-\u0CEF\u0D66-\u0D6F\u0DE6-\u0DEF\u0E50-\u0E59\u0ED0-\u0ED9\u0F20-\u0F29\u1040-\u1049\u1090-\u1099'
    '\u17E0-\u17E9\u1810-\u1819\u1946-\u194F\u19D0-\u19D9\u1A80-\u1A89\u1A90-\u1A99\u1B50-\u1B59\u1BB0-\u1BB9\u1C40-\u1C49'
    '\u1C50-\u1C59\uA620-\uA629\uA8D0-\uA8D9\uA900-\uA909\uA9D0-\uA9D9\uA9F0-\uA9F9\uAA50-\uAA59\uABF0-\uABF9\uFF10-\uFF19'
    '\U000104A0-\U000104A9\U00010D30-\U00010D39\U00011066-\U0001106F\U000110F0-\U000110F9\U00011136-\U0001113F'
    '\U000111D0-\U000111D9\U000112F0-\U000112F9\U00011450-\U00011459\U000114D0-\U000114D9\U00011650-\U00011659'
    '\U000116C0-\U000116C9\U00011730-\U00011739\U000118E0-\U000118E9\U00011950-\U00011959\U00011C50-\U00011C59'
    '\U00011D50-\U00011D59\U00011DA0-\U00011DA9\U00011F50-\U00011F59\U00016A60-\U00016A69\U00016AC0-\U00016AC9'
    '\U00016B50-\U00016B59\U0001D7CE-\U0001D7FF\U0001E140-\U0001E149\U0001E2F0-\U0001E2F9\U0001E4F0-\U0001E4F9'
    '\U0001E950-\U0001E959\U0001FBF0-\U0001FBF9]' THEN
    -- In the order of their code points.
    t := translate(t,
      '٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹߀߁߂߃߄߅߆߇߈߉०१२३४५६७८९০১২৩৪৫৬৭৮৯੦੧੨੩੪੫੬੭੮੯૦૧૨૩૪૫૬૭૮૯'
      '୦୧୨୩୪୫୬୭୮୯௦௧௨௩௪௫௬௭௮௯౦౧౨౩౪౫౬౭౮౯೦೧೨೩೪೫೬೭೮೯൦൧൨൩൪൫൬൭൮൯෦෧෨෩෪෫෬෭෮෯๐๑๒๓๔๕๖๗๘๙'
      '໐໑໒໓໔໕໖໗໘໙༠༡༢༣༤༥༦༧༨༩၀၁၂၃၄၅၆၇၈၉႐႑႒႓႔႕႖႗႘႙០១២៣៤៥៦៧៨៩᠐᠑᠒᠓᠔᠕᠖᠗᠘᠙᥆᥇᥈᥉᥊᥋᥌᥍᥎᥏'
      '᧐᧑᧒᧓᧔᧕᧖᧗᧘᧙᪀᪁᪂᪃᪄᪅᪆᪇᪈᪉᪐᪑᪒᪓᪔᪕᪖᪗᪘᪙᭐᭑᭒᭓᭔᭕᭖᭗᭘᭙᮰᮱᮲᮳᮴᮵᮶᮷᮸᮹᱀᱁᱂᱃᱄᱅᱆᱇᱈᱉᱐᱑᱒᱓᱔᱕᱖᱗᱘᱙'
      '꘠꘡꘢꘣꘤꘥꘦꘧꘨꘩꣐꣑꣒꣓꣔꣕꣖꣗꣘꣙꤀꤁꤂꤃꤄꤅꤆꤇꤈꤉꧐꧑꧒꧓꧔꧕꧖꧗꧘꧙꧰꧱꧲꧳꧴꧵꧶꧷꧸꧹꩐꩑꩒꩓꩔꩕꩖꩗꩘꩙꯰꯱꯲꯳꯴꯵꯶꯷꯸꯹'
      '０１２３４５６７８９𐒠𐒡𐒢𐒣𐒤𐒥𐒦𐒧𐒨𐒩𐴰𐴱𐴲𐴳𐴴𐴵𐴶𐴷𐴸𐴹𑁦𑁧𑁨𑁩𑁪𑁫𑁬𑁭𑁮𑁯𑃰𑃱𑃲𑃳𑃴𑃵𑃶𑃷𑃸𑃹𑄶𑄷𑄸𑄹𑄺𑄻𑄼𑄽𑄾𑄿𑇐𑇑𑇒𑇓𑇔𑇕𑇖𑇗𑇘𑇙'
      '𑋰𑋱𑋲𑋳𑋴𑋵𑋶𑋷𑋸𑋹𑑐𑑑𑑒𑑓𑑔𑑕𑑖𑑗𑑘𑑙𑓐𑓑𑓒𑓓𑓔𑓕𑓖𑓗𑓘𑓙𑙐𑙑𑙒𑙓𑙔𑙕𑙖𑙗𑙘𑙙𑛀𑛁𑛂𑛃𑛄𑛅𑛆𑛇𑛈𑛉𑜰𑜱𑜲𑜳𑜴𑜵𑜶𑜷𑜸𑜹𑣠𑣡𑣢𑣣𑣤𑣥𑣦𑣧𑣨𑣩'
      '𑥐𑥑𑥒𑥓𑥔𑥕𑥖𑥗𑥘𑥙𑱐𑱑𑱒𑱓𑱔𑱕𑱖𑱗𑱘𑱙𑵐𑵑𑵒𑵓𑵔𑵕𑵖𑵗𑵘𑵙𑶠𑶡𑶢𑶣𑶤𑶥𑶦𑶧𑶨𑶩𑽐𑽑𑽒𑽓𑽔𑽕𑽖𑽗𑽘𑽙𖩠𖩡𖩢𖩣𖩤𖩥𖩦𖩧𖩨𖩩𖫀𖫁𖫂𖫃𖫄𖫅𖫆𖫇𖫈𖫉'
      '𖭐𖭑𖭒𖭓𖭔𖭕𖭖𖭗𖭘𖭙𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗𝟘𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠𝟡𝟢𝟣𝟤𝟥𝟦𝟧𝟨𝟩𝟪𝟫𝟬𝟭𝟮𝟯𝟰𝟱𝟲𝟳𝟴𝟵𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿𞅀𞅁𞅂𞅃𞅄𞅅𞅆𞅇𞅈𞅉'
      '𞋰𞋱𞋲𞋳𞋴𞋵𞋶𞋷𞋸𞋹𞓰𞓱𞓲𞓳𞓴𞓵𞓶𞓷𞓸𞓹𞥐𞥑𞥒𞥓𞥔𞥕𞥖𞥗𞥘𞥙🯰🯱🯲🯳🯴🯵🯶🯷🯸🯹',
      repeat('0123456789', 67));
  END IF;
  RETURN t;
END
$$;
-- +goose StatementEnd

-- What names are sorted by, found by as they are typed, and unique by. It fits an index's
-- page. Spaces at the ends do not count, and one counts as many.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION name_key(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path FROM CURRENT AS $$
BEGIN
  RETURN left(btrim(regexp_replace(search_fold(name), '[\u0001-\u0020]+', ' ', 'g')), 200);
END
$$;
-- +goose StatementEnd

-- The words of a text. Punctuation, spaces and the symbols of mathematics and money
-- separate words; other symbols, as emoji, are words. Scripts that set no spaces between
-- words (Han, kana, Thai and their like; Hangul, whose words grow endings) yield each two
-- neighbouring characters, and the last one of each run alone. An apostrophe separates
-- words and also does not: Mary's is mary, s and marys. What it costs (some 10 to 20 µs) is
-- stated, so that the planner does not walk a table to avoid an index. The classes are
-- those of Unicode 15.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION search_vector(t text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 5000
SET search_path FROM CURRENT AS $$
DECLARE
  unspaced CONSTANT text := '\u0E00-\u109F\u1780-\u17FF\u3005\u3007\u3040-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7A3\U00020000-\U0003FFFF';
  separators CONSTANT text := '\u0001- !-/:-@\[-`{-\u007F\u0080-\u00A5\u00A7\u00A8\u00AB\u00AC\u00AF\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF\u00D7\u00F7'
    '\u02C2-\u02C5\u02D2-\u02DF\u02E5-\u02EB\u02ED\u02EF-\u02FF\u0375\u037E\u0384\u0385\u0387\u03F6\u055A-\u055F\u0589'
    '\u058A\u058F\u05BE\u05C0\u05C3\u05C6\u05F3\u05F4\u0606-\u060D\u061B\u061D-\u061F\u066A-\u066D\u06D4\u0700-\u070D'
    '\u07F7-\u07F9\u07FE\u07FF\u0830-\u083E\u085E\u0888\u0964\u0965\u0970\u09F2\u09F3\u09FB\u09FD\u0A76\u0AF0\u0AF1\u0BF9'
    '\u0C77\u0C84\u0DF4\u0E3F\u0E4F\u0E5A\u0E5B\u0F04-\u0F12\u0F14\u0F3A-\u0F3D\u0F85\u0FD0-\u0FD4\u0FD9\u0FDA\u104A-\u104F'
    '\u10FB\u1360-\u1368\u1400\u166E\u1680\u169B\u169C\u16EB-\u16ED\u1735\u1736\u17D4-\u17D6\u17D8-\u17DB\u1800-\u180A'
    '\u1944\u1945\u1A1E\u1A1F\u1AA0-\u1AA6\u1AA8-\u1AAD\u1B5A-\u1B60\u1B7D\u1B7E\u1BFC-\u1BFF\u1C3B-\u1C3F\u1C7E\u1C7F'
    '\u1CC0-\u1CC7\u1CD3\u1FBD\u1FBF-\u1FC1\u1FCD-\u1FCF\u1FDD-\u1FDF\u1FED-\u1FEF\u1FFD\u1FFE\u2000-\u200A\u2010-\u2029'
    '\u202F-\u205F\u207A-\u207E\u208A-\u208E\u20A0-\u20C0\u2118\u2140-\u2144\u214B\u2190-\u2194\u219A\u219B\u21A0\u21A3'
    '\u21A6\u21AE\u21CE\u21CF\u21D2\u21D4\u21F4-\u22FF\u2308-\u230B\u2320\u2321\u2329\u232A\u237C\u239B-\u23B3\u23DC-\u23E1'
    '\u25B7\u25C1\u25F8-\u25FF\u266F\u2768-\u2775\u27C0-\u27FF\u2900-\u2AFF\u2B30-\u2B44\u2B47-\u2B4C\u2CF9-\u2CFC\u2CFE'
    '\u2CFF\u2D70\u2E00-\u2E2E\u2E30-\u2E4F\u2E52-\u2E5D\u3000-\u3003\u3008-\u3011\u3014-\u301F\u3030\u303D\u309B\u309C'
    '\u30A0\u30FB\uA4FE\uA4FF\uA60D-\uA60F\uA673\uA67E\uA6F2-\uA6F7\uA700-\uA716\uA720\uA721\uA789\uA78A\uA838\uA874-\uA877'
    '\uA8CE\uA8CF\uA8F8-\uA8FA\uA8FC\uA92E\uA92F\uA95F\uA9C1-\uA9CD\uA9DE\uA9DF\uAA5C-\uAA5F\uAADE\uAADF\uAAF0\uAAF1\uAB5B'
    '\uAB6A\uAB6B\uABEB\uFB29\uFBB2-\uFBC2\uFD3E\uFD3F\uFDFC\uFE10-\uFE19\uFE30-\uFE52\uFE54-\uFE66\uFE68-\uFE6B'
    '\uFF01-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65\uFFE0-\uFFE3\uFFE5\uFFE6\uFFE9-\uFFEC\U00010100-\U00010102'
    '\U0001039F\U000103D0\U0001056F\U00010857\U0001091F\U0001093F\U00010A50-\U00010A58\U00010A7F\U00010AF0-\U00010AF6'
    '\U00010B39-\U00010B3F\U00010B99-\U00010B9C\U00010EAD\U00010F55-\U00010F59\U00010F86-\U00010F89\U00011047-\U0001104D'
    '\U000110BB\U000110BC\U000110BE-\U000110C1\U00011140-\U00011143\U00011174\U00011175\U000111C5-\U000111C8\U000111CD'
    '\U000111DB\U000111DD-\U000111DF\U00011238-\U0001123D\U000112A9\U0001144B-\U0001144F\U0001145A\U0001145B\U0001145D'
    '\U000114C6\U000115C1-\U000115D7\U00011641-\U00011643\U00011660-\U0001166C\U000116B9\U0001173C-\U0001173E\U0001183B'
    '\U00011944-\U00011946\U000119E2\U00011A3F-\U00011A46\U00011A9A-\U00011A9C\U00011A9E-\U00011AA2\U00011B00-\U00011B09'
    '\U00011C41-\U00011C45\U00011C70\U00011C71\U00011EF7\U00011EF8\U00011F43-\U00011F4F\U00011FDD-\U00011FE0\U00011FFF'
    '\U00012470-\U00012474\U00012FF1\U00012FF2\U00016A6E\U00016A6F\U00016AF5\U00016B37-\U00016B3B\U00016B44'
    '\U00016E97-\U00016E9A\U00016FE2\U0001BC9F\U0001D6C1\U0001D6DB\U0001D6FB\U0001D715\U0001D735\U0001D74F\U0001D76F'
    '\U0001D789\U0001D7A9\U0001D7C3\U0001DA87-\U0001DA8B\U0001E2FF\U0001E95E\U0001E95F\U0001ECB0\U0001EEF0\U0001EEF1'
    '\U0001F3FB-\U0001F3FF';
  symbols CONSTANT text := '\u00A6\u00A9\u00AE\u00B0\u0482\u058D\u058E\u060E\u060F\u06DE\u06E9\u06FD\u06FE\u07F6\u09FA\u0B70\u0BF3-\u0BF8\u0BFA'
    '\u0C7F\u0D4F\u0D79\u0F01-\u0F03\u0F13\u0F15-\u0F17\u0F1A-\u0F1F\u0F34\u0F36\u0F38\u0FBE-\u0FC5\u0FC7-\u0FCC\u0FCE'
    '\u0FCF\u0FD5-\u0FD8\u109E\u109F\u1390-\u1399\u166D\u1940\u19DE-\u19FF\u1B61-\u1B6A\u1B74-\u1B7C\u2100\u2101'
    '\u2103-\u2106\u2108\u2109\u2114\u2116\u2117\u211E-\u2123\u2125\u2127\u2129\u212E\u213A\u213B\u214A\u214C\u214D\u214F'
    '\u218A\u218B\u2195-\u2199\u219C-\u219F\u21A1\u21A2\u21A4\u21A5\u21A7-\u21AD\u21AF-\u21CD\u21D0\u21D1\u21D3'
    '\u21D5-\u21F3\u2300-\u2307\u230C-\u231F\u2322-\u2328\u232B-\u237B\u237D-\u239A\u23B4-\u23DB\u23E2-\u2426\u2440-\u244A'
    '\u249C-\u24E9\u2500-\u25B6\u25B8-\u25C0\u25C2-\u25F7\u2600-\u266E\u2670-\u2767\u2794-\u27BF\u2800-\u28FF\u2B00-\u2B2F'
    '\u2B45\u2B46\u2B4D-\u2B73\u2B76-\u2B95\u2B97-\u2BFF\u2CE5-\u2CEA\u2E50\u2E51\u2E80-\u2E99\u2E9B-\u2EF3\u2F00-\u2FD5'
    '\u2FF0-\u2FFB\u3004\u3012\u3013\u3020\u3036\u3037\u303E\u303F\u3190\u3191\u3196-\u319F\u31C0-\u31E3\u3200-\u321E'
    '\u322A-\u3247\u3250\u3260-\u327F\u328A-\u32B0\u32C0-\u33FF\u4DC0-\u4DFF\uA490-\uA4C6\uA828-\uA82B\uA836\uA837\uA839'
    '\uAA77-\uAA79\uFD40-\uFD4F\uFDCF\uFDFD-\uFDFF\uFFE4\uFFE8\uFFED\uFFEE\uFFFC\uFFFD\U00010137-\U0001013F'
    '\U00010179-\U00010189\U0001018C-\U0001018E\U00010190-\U0001019C\U000101A0\U000101D0-\U000101FC\U00010877\U00010878'
    '\U00010AC8\U0001173F\U00011FD5-\U00011FDC\U00011FE1-\U00011FF1\U00016B3C-\U00016B3F\U00016B45\U0001BC9C'
    '\U0001CF50-\U0001CFC3\U0001D000-\U0001D0F5\U0001D100-\U0001D126\U0001D129-\U0001D164\U0001D16A-\U0001D16C\U0001D183'
    '\U0001D184\U0001D18C-\U0001D1A9\U0001D1AE-\U0001D1EA\U0001D200-\U0001D241\U0001D245\U0001D300-\U0001D356'
    '\U0001D800-\U0001D9FF\U0001DA37-\U0001DA3A\U0001DA6D-\U0001DA74\U0001DA76-\U0001DA83\U0001DA85\U0001DA86\U0001E14F'
    '\U0001ECAC\U0001ED2E\U0001F000-\U0001F02B\U0001F030-\U0001F093\U0001F0A0-\U0001F0AE\U0001F0B1-\U0001F0BF'
    '\U0001F0C1-\U0001F0CF\U0001F0D1-\U0001F0F5\U0001F10D-\U0001F1AD\U0001F1E6-\U0001F202\U0001F210-\U0001F23B'
    '\U0001F240-\U0001F248\U0001F250\U0001F251\U0001F260-\U0001F265\U0001F300-\U0001F3FA\U0001F400-\U0001F6D7'
    '\U0001F6DC-\U0001F6EC\U0001F6F0-\U0001F6FC\U0001F700-\U0001F776\U0001F77B-\U0001F7D9\U0001F7E0-\U0001F7EB\U0001F7F0'
    '\U0001F800-\U0001F80B\U0001F810-\U0001F847\U0001F850-\U0001F859\U0001F860-\U0001F887\U0001F890-\U0001F8AD\U0001F8B0'
    '\U0001F8B1\U0001F900-\U0001FA53\U0001FA60-\U0001FA6D\U0001FA70-\U0001FA7C\U0001FA80-\U0001FA88\U0001FA90-\U0001FABD'
    '\U0001FABF-\U0001FAC5\U0001FACE-\U0001FADB\U0001FAE0-\U0001FAE8\U0001FAF0-\U0001FAF8\U0001FB00-\U0001FB92'
    '\U0001FB94-\U0001FBCA';
BEGIN
  t := search_fold(t);
  IF strpos(t, '''') > 0 THEN
    t := replace(t, '''', '') || ' ' || t;
  END IF;
  IF octet_length(t) = char_length(t) THEN
    -- The parser would take paths, hosts and signed numbers for one word.
    RETURN strip(to_tsvector('simple', translate(t, '-./:@_<&~+''', '           ')));
  END IF;
  t := regexp_replace(t, '[' || separators || ']+', ' ', 'g');
  IF t ~ ('[' || symbols || ']') THEN
    t := regexp_replace(t, '([' || symbols || '])', ' \1 ', 'g');
  END IF;
  IF t !~ ('[' || unspaced || ']') THEN
    RETURN array_to_tsvector(array_remove(string_to_array(regexp_replace(t, '([^ ]{64})[^ ]+', '\1', 'g'), ' '), ''));
  END IF;
  t := regexp_replace(t, '([' || unspaced || ']+)', E' \x01\\1 ', 'g');
  RETURN array_to_tsvector(ARRAY(
    SELECT CASE WHEN starts_with(part, E'\x01') THEN substr(part, i, 2) ELSE left(part, 64) END
    FROM unnest(string_to_array(t, ' ')) part,
      generate_series(CASE WHEN starts_with(part, E'\x01') THEN 2 ELSE 1 END, CASE WHEN starts_with(part, E'\x01') THEN char_length(part) ELSE 1 END) i
    WHERE part <> ''));
END
$$;
-- +goose StatementEnd

-- Words that names have now. Names in ASCII have the words that they had.
INSERT INTO "search_vocabulary" ("word")
SELECT learned.word
FROM (
  SELECT DISTINCT w.word
  FROM (SELECT name FROM areas UNION ALL SELECT name FROM landmarks) named, search_correctable(named.name) w (word)
  WHERE octet_length(named.name) <> char_length(named.name)) learned
WHERE NOT EXISTS (SELECT FROM "search_vocabulary" v WHERE v.word = learned.word);

-- An interrupted run leaves an index that only costs.
DROP INDEX CONCURRENTLY IF EXISTS "landmark_name_ccnew";
REINDEX INDEX CONCURRENTLY "landmark_name";
DROP INDEX CONCURRENTLY IF EXISTS "landmark_search_sample_ccnew";
REINDEX INDEX CONCURRENTLY "landmark_search_sample";
DROP INDEX CONCURRENTLY IF EXISTS "landmark_search_ccnew";
REINDEX INDEX CONCURRENTLY "landmark_search";
DROP INDEX CONCURRENTLY IF EXISTS "landmark_trash_search_ccnew";
REINDEX INDEX CONCURRENTLY "landmark_trash_search";
DROP INDEX CONCURRENTLY IF EXISTS "area_name_ccnew";
REINDEX INDEX CONCURRENTLY "area_name";
DROP INDEX CONCURRENTLY IF EXISTS "area_search_ccnew";
REINDEX INDEX CONCURRENTLY "area_search";
DROP INDEX CONCURRENTLY IF EXISTS "area_trash_search_ccnew";
REINDEX INDEX CONCURRENTLY "area_trash_search";
DROP INDEX CONCURRENTLY IF EXISTS "report_search_ccnew";
REINDEX INDEX CONCURRENTLY "report_search";
DROP INDEX CONCURRENTLY IF EXISTS "user_search_ccnew";
REINDEX INDEX CONCURRENTLY "user_search";
DROP INDEX CONCURRENTLY IF EXISTS "user_trash_search_ccnew";
REINDEX INDEX CONCURRENTLY "user_trash_search";
