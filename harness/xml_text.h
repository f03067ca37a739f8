/* Text in XML files: everything a document of XML 1.0 cannot hold is replaced. */
#ifndef BM_XML_TEXT_H
#define BM_XML_TEXT_H

#include <stdio.h>

/* For element content and for attributes in either kind of quotes. Markup characters, and line
 * breaks and tabs, which an attribute would lose, become references; control characters, and what
 * is not UTF-8, U+FFFD. */
void bm_xml_text_print(const char *text, FILE *stream);

#endif
